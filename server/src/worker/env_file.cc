#include "worker/env_file.h"

#include <algorithm>

#include "base/text.h"

namespace mc::worker {
namespace {
constexpr std::size_t kNameBytesMax = 256;

Error at_line(std::string_view what, int line, std::string message) {
  return {Code::invalid_field,
          std::string(what) + ", line " + std::to_string(line) + ": " + message,
          {{.line = line, .code = "invalid_line", .message = message}}};
}

Error too_much(std::string_view what, const std::string& subject, std::size_t bytes,
               std::size_t limit) {
  return {Code::limit_exceeded,
          std::string(what) + ": " + subject + " has " + std::to_string(bytes) +
              " bytes, at most " + format_size(static_cast<std::int64_t>(limit)) +
              " are allowed; keep more as an artifact (artifact/upload)",
          {}};
}

// Takes the next line off `text`, without its newline.
std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// The block after `name<<delimiter`; false when its end is missing.
bool read_block(std::string_view& text, std::string_view delimiter, int& line, std::string& value) {
  bool first = true;
  while (!text.empty()) {
    const std::string_view next = next_line(text);
    ++line;
    if (next == delimiter) return true;
    if (!first) value += '\n';
    value += next;
    first = false;
  }
  return false;
}
}  // namespace

bool is_env_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) return false;
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return letter(name[0]) && std::ranges::all_of(name, [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

Result<EnvPairs> parse_env_file(std::string_view text, std::string_view what) {
  if (text.size() > kEnvFileBytesMax)
    return too_much(what, "the file", text.size(), kEnvFileBytesMax);
  EnvPairs pairs;
  std::size_t total = 0;
  int line = 0;
  while (!text.empty()) {
    const std::string_view next = next_line(text);
    const int begins = ++line;
    if (trim(next).empty()) continue;
    if (next.find('\0') != std::string_view::npos)
      return at_line(what, line, "it holds a zero byte");
    const std::size_t equals = next.find('=');
    const std::size_t block = next.find("<<");
    if (equals == std::string_view::npos && block == std::string_view::npos) {
      return at_line(what, line, "expected name=value or name<<DELIMITER");
    }
    const bool is_block = block < equals;
    const std::string name(trim(next.substr(0, std::min(equals, block))));
    if (!is_env_name(name)) return at_line(what, line, "`" + name.substr(0, 64) + "` is no name");
    std::string value;
    if (!is_block) {
      value = next.substr(equals + 1);
    } else {
      const std::string_view delimiter = next.substr(block + 2);
      if (trim(delimiter).empty())
        return at_line(what, line, "the block of `" + name + "` has no delimiter");
      if (!read_block(text, delimiter, line, value)) {
        return at_line(what, begins,
                       "the block of `" + name + "` has no end `" + std::string(delimiter) + "`");
      }
    }
    if (value.find('\0') != std::string::npos)
      return at_line(what, begins, "`" + name + "` holds a zero byte");
    if (value.size() > kOutputBytesMax)
      return too_much(what, "`" + name + "`", value.size(), kOutputBytesMax);
    total += value.size();
    if (total > kOutputsBytesMax)
      return too_much(what, "everything together", total, kOutputsBytesMax);
    pairs.emplace_back(name, std::move(value));
  }
  return pairs;
}

}  // namespace mc::worker
