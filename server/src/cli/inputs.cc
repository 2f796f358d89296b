#include "cli/inputs.h"

#include <filesystem>

#include "base/text.h"

namespace mc::cli {

Result<Value> pairs_from(const std::vector<std::string>& texts, const std::string& option) {
  Value pairs{Object{}};
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return Error{Code::usage, option + " wants KEY=VALUE, not `" + text + "`", {}};
    const std::string key = text.substr(0, equals);
    if (pairs.find(key) != nullptr)
      return Error{Code::usage, option + " gives `" + key + "` twice", {}};
    pairs.set(key, text.substr(equals + 1));
  }
  return pairs;
}

Result<Value> inputs_from(const std::vector<std::string>& texts) {
  Result<Value> pairs = pairs_from(texts, "--input");
  if (!pairs.ok()) return pairs;
  for (Member& member : pairs->as_object()) {
    const std::string& text = member.second.as_string();
    if (!text.starts_with("@")) continue;
    Result<std::string> content = read_file(text.substr(1));
    if (!content.ok()) return content.error();
    member.second = *content;
  }
  return pairs;
}

Result<std::string> read_definition_file(const Io& io, const std::string& file) {
  constexpr std::size_t kRead = 64U << 20;
  return file == "-" ? io.read_input() : read_file(file, kRead);
}

Result<std::optional<std::string>> definition_text(const Io& io, const std::string& name) {
  const bool looks_like_file =
      name.ends_with(".yaml") || name.ends_with(".yml") || name.find('/') != std::string::npos;
  std::error_code ignored;
  if (name != "-" && !looks_like_file && !std::filesystem::is_regular_file(name, ignored))
    return std::optional<std::string>();
  Result<std::string> text = read_definition_file(io, name);
  if (!text.ok()) return text.error();
  return std::optional(*text);
}

std::string name_of_file(const std::string& path) {
  if (path == "-") return "workflow";
  return std::filesystem::path(path).stem().string();
}

}  // namespace mc::cli
