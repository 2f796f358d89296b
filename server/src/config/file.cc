#include <algorithm>

#include "base/text.h"
#include "config/settings.h"

namespace mc::config {
namespace {
bool is_key(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// The value without quotes and comment; nullopt when a quote is not closed or something follows it.
std::optional<std::string> read_value(std::string_view text) {
  text = trim(text);
  if (text.empty() || text.front() == '#') return std::string();
  if (text.front() != '"' && text.front() != '\'') {
    const std::size_t comment = text.find(" #");
    return std::string(trim(text.substr(0, comment)));
  }
  const std::size_t end = text.find(text.front(), 1);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view rest = trim(text.substr(end + 1));
  if (!rest.empty() && rest.front() != '#') return std::nullopt;
  return std::string(text.substr(1, end - 1));
}
}  // namespace

Result<std::vector<FileLine>> read_settings_file(std::string_view name, std::string_view text) {
  std::vector<FileLine> lines;
  Error wrong{Code::invalid_setting, std::string(name) + " has errors", {}};
  int number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.front() == '#' || line == "---") continue;
    const std::size_t colon = line.find(':');
    const std::string_view key = line.substr(0, colon == std::string::npos ? 0 : colon);
    const bool indented = raw.front() == ' ' || raw.front() == '\t';
    if (indented || !is_key(key)) {
      wrong.problems.push_back({number, 1, "invalid_setting", "a line is KEY: VALUE", {}});
      continue;
    }
    const auto value = read_value(line.substr(colon + 1));
    if (!value) {
      wrong.problems.push_back(
          {number, static_cast<int>(colon) + 2, "invalid_setting", "the quotes do not fit", {}});
      continue;
    }
    const bool again = std::any_of(lines.begin(), lines.end(),
                                   [&](const FileLine& each) { return each.name == key; });
    if (again) {
      wrong.problems.push_back(
          {number, 1, "invalid_setting", std::string(key) + " is set twice", {}});
      continue;
    }
    lines.push_back({std::string(key), *value, number});
  }
  if (!wrong.problems.empty()) return wrong;
  return lines;
}
}  // namespace mc::config
