#include "worker/commands.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "base/text.h"

namespace mc::worker {
namespace {
constexpr std::string_view kMark = "::";

bool is_level(std::string_view name) {
  return name == "error" || name == "warning" || name == "notice";
}

// %25 %0D %0A %3A %2C: as programs written for other systems escape them.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* from = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(from, from + 2, value, 16).ptr == from + 2) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

Value cut(std::string_view text) {
  return Value(to_valid_utf8(text.substr(0, kAnnotationTextMax)));
}
}  // namespace

std::optional<LineCommand> parse_command(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (!line.starts_with(kMark)) return std::nullopt;
  const std::size_t end = line.find(kMark, kMark.size());
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view head = line.substr(kMark.size(), end - kMark.size());
  const std::size_t space = head.find(' ');
  LineCommand command{.name = to_lower(head.substr(0, space))};
  const bool named = !command.name.empty() && std::ranges::all_of(command.name, [](char c) {
    return (c >= 'a' && c <= 'z') || c == '-' || c == '_';
  });
  if (!named) return std::nullopt;
  command.text = unescape(line.substr(end + kMark.size()));
  if (space == std::string_view::npos) return command;
  for (const std::string& property : split(head.substr(space + 1), ',')) {
    const std::size_t equals = property.find('=');
    if (equals == std::string::npos) continue;
    command.properties.emplace_back(std::string(trim(std::string_view(property).substr(0, equals))),
                                    unescape(std::string_view(property).substr(equals + 1)));
  }
  return command;
}

std::optional<Value> annotation_of(const LineCommand& command) {
  if (!is_level(command.name)) return std::nullopt;
  Object out;
  out.emplace_back("level", command.name);
  out.emplace_back("message", cut(command.text));
  for (const auto& [name, value] : command.properties) {
    const bool known = std::ranges::any_of(out, [&](const Member& m) { return m.first == name; });
    if (known) continue;
    if (name == "file" || name == "title") out.emplace_back(name, cut(value));
    if (name == "line") {
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error == std::errc() && number > 0) out.emplace_back(name, number);
    }
  }
  return Value(std::move(out));
}

List parse_annotations(std::string_view text) {
  List found;
  const std::vector<std::string> lines = split(text, '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = trim(lines[i]);
    if (found.size() >= kAnnotationsMax || line.empty()) continue;
    LineCommand command;
    if (line.starts_with('{')) {
      const auto json = parse_json(line);
      if (!json.ok() || !json->is_object()) continue;
      command.name = json->string_or("level", "notice");
      command.text = json->string_or("message", "");
      for (const char* name : {"file", "title"}) {
        if (json->find(name) != nullptr)
          command.properties.emplace_back(name, json->string_or(name, ""));
      }
      command.properties.emplace_back("line", std::to_string(json->int_or("line", 0)));
    } else if (const std::size_t block = line.find("<<"); block < line.find('=')) {
      command.name = to_lower(trim(line.substr(0, block)));
      const std::string_view delimiter = trim(line.substr(block + 2));
      // A block without an end takes the rest, as a shell's here-document does.
      while (++i < lines.size() && trim(lines[i]) != delimiter)
        command.text += (command.text.empty() ? "" : "\n") + lines[i];
    } else {
      const std::size_t equals = line.find('=');
      if (equals == std::string_view::npos) continue;
      command.name = to_lower(trim(line.substr(0, equals)));
      command.text = line.substr(equals + 1);
    }
    if (auto annotation = annotation_of(command)) found.push_back(std::move(*annotation));
  }
  return found;
}

void LineScanner::feed(std::string_view bytes, const std::function<void(std::string_view)>& text,
                       const std::function<void(std::string_view)>& command) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t take = newline == std::string_view::npos ? bytes.size() : newline + 1;
    const std::string_view part = bytes.substr(0, take);
    bytes.remove_prefix(take);
    const bool complete = newline != std::string_view::npos;
    if (held_.empty() && !at_start_) {
      text(part);
      at_start_ = complete;
      continue;
    }
    held_ += part;
    const bool may_be = held_.starts_with(kMark.substr(0, std::min(held_.size(), kMark.size())));
    if (may_be && !complete && held_.size() < kCommandBytesMax) {
      at_start_ = false;
      continue;
    }
    if (may_be && complete) command(std::string_view(held_).substr(0, held_.size() - 1));
    text(held_);
    held_.clear();
    at_start_ = complete;
  }
}

void LineScanner::finish(const std::function<void(std::string_view)>& text,
                         const std::function<void(std::string_view)>& command) {
  if (held_.empty()) return;
  command(held_);
  text(held_);
  held_.clear();
}

}  // namespace mc::worker
