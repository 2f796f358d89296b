#include "cli/yaml_text.h"

#include <cctype>

#include "base/json.h"
#include "base/text.h"

namespace mc::cli {
namespace {

// Plain only when no YAML reader, 1.1 or 1.2, could take it for something else than this text.
bool plain_is_safe(std::string_view text) {
  if (text.empty() || text.size() > 200) return false;
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  if (!letter(text.front()) && text.front() != '/') return false;
  for (const char c : text) {
    const bool fine = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' ||
                      c == '.' || c == '/' || c == '@' || c == '+';
    if (!fine) return false;
  }
  const std::string lower = to_lower(text);
  for (const char* word : {"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
    if (lower == word) return false;
  return true;
}

std::string scalar(const Value& value) {
  if (value.is_string() && plain_is_safe(value.as_string())) return value.as_string();
  return to_json(value);  // JSON scalars and flow collections are YAML
}

bool is_block(const Value& value) {
  return (value.is_list() && !value.as_list().empty()) ||
         (value.is_object() && !value.as_object().empty());
}

void append(std::string& out, const Value& value, std::size_t indent, bool after_dash);

void append_member(std::string& out, const Member& member, std::size_t indent) {
  out += scalar(Value(member.first)) + ":";
  if (!is_block(member.second)) {
    out += " " + scalar(member.second) + "\n";
    return;
  }
  out += "\n";
  append(out, member.second, indent + 2, false);
}

void append(std::string& out, const Value& value, std::size_t indent, bool after_dash) {
  const std::string margin(indent, ' ');
  bool first = true;
  if (value.is_object()) {
    for (const Member& member : value.as_object()) {
      if (!first || !after_dash) out += margin;
      first = false;
      append_member(out, member, indent);
    }
    return;
  }
  for (const Value& item : value.as_list()) {
    if (!first || !after_dash) out += margin;
    first = false;
    out += "- ";
    if (is_block(item)) {
      append(out, item, indent + 2, true);
    } else {
      out += scalar(item) + "\n";
    }
  }
}

struct Line {
  std::size_t indent = 0;
  std::string key;
  std::string value;
};

Result<std::string> unquote(std::string_view text) {
  if (text.empty() || text.front() != '"') return std::string(text);
  const Result<Value> parsed = parse_json(text);
  if (!parsed.ok() || !parsed->is_string()) return Error{Code::usage, "a bad string", {}};
  return parsed->as_string();
}

Result<Line> read_line(std::string_view raw) {
  Line line;
  while (line.indent < raw.size() && raw[line.indent] == ' ') ++line.indent;
  const std::string_view text = trim(raw);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return Error{Code::usage, "want `key: value`", {}};
  Result<std::string> key = unquote(trim(text.substr(0, colon)));
  Result<std::string> value = unquote(trim(text.substr(colon + 1)));
  if (!key.ok()) return key.error();
  if (!value.ok()) return value.error();
  line.key = *key;
  line.value = *value;
  return line;
}

}  // namespace

std::string to_yaml(const Value& value) {
  if (!is_block(value)) return scalar(value) + "\n";
  std::string out;
  append(out, value, 0, false);
  return out;
}

Result<Value> read_plain_yaml(std::string_view text, const std::string& name) {
  Value root{Object{}};
  std::vector<std::pair<std::size_t, Value*>> open;  // indent of a map's key, and the map it opens
  int number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    const std::string_view content = trim(raw);
    if (content.empty() || content.front() == '#' || content == "{}") continue;
    Result<Line> line = read_line(raw);
    if (!line.ok())
      return Error{
          Code::usage, name + ":" + std::to_string(number) + ": " + line.error().message, {}};
    while (!open.empty() && open.back().first >= line->indent) open.pop_back();
    Value& parent = open.empty() ? root : *open.back().second;
    if (parent.find(line->key) != nullptr)
      return Error{Code::usage,
                   name + ":" + std::to_string(number) + ": `" + line->key + "` stands twice",
                   {}};
    const bool map = line->value.empty() || line->value == "{}";
    // Pointers into `parent` of maps that are closed by now may move; those still open do not.
    parent.set(line->key, map ? Value(Object{}) : Value(line->value));
    if (map) open.emplace_back(line->indent, &parent.as_object().back().second);
  }
  return root;
}

}  // namespace mc::cli
