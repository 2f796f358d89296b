#include "lang/reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/clip.h"
#include "base/json.h"
#include "base/text.h"

namespace mc::lang {
namespace {
// Spellings that people bring from GitHub Actions.
constexpr std::pair<std::string_view, std::string_view> kSpellings[] = {
    {"runs-on", "runs_on"},
    {"continue-on-error", "continue_on_error"},
    {"fail-fast", "fail_fast"},
    {"max-parallel", "max_parallel"},
    {"working-directory", "working_directory"},
    {"paths-ignore", "paths_ignore"},
    {"branches-ignore", "branches_ignore"}};

// What people bring from elsewhere or from a later version, with what is to be said about it.
struct Foreign {
  std::string_view section;
  std::string_view key;
  bool refused;
  std::string_view code;
  std::string_view message;
};
constexpr Foreign kForeign[] = {
    {"job", "deploy", true, "not_available", "`deploy` jobs come with a later version of Maestro"},
    {"job", "analyse", true, "not_available",
     "`analyse` jobs come with a later version of Maestro"},
    {"job", "strategy", true, "unknown_key",
     "`strategy: {matrix: …}` is written `matrix: …` here, beside `fail_fast` and `max_parallel`"},
    {"job", "timeout-minutes", false, "spelling",
     "`timeout-minutes: 30` is written `timeout: 30m` here"},
    {"step", "timeout-minutes", false, "spelling",
     "`timeout-minutes: 30` is written `timeout: 30m` here"},
    {"concurrency", "cancel-in-progress", true, "unknown_key",
     "`cancel-in-progress: true` is written `on_overflow: cancel_running` here"},
    {"triggers", "workflow_dispatch", false, "spelling",
     "every workflow can be started by hand: `workflow_dispatch` can go"},
    {"triggers", "manual", false, "spelling",
     "every workflow can be started by hand: `manual` can go"}};

const Foreign* find_foreign(const Section& section, std::string_view key) {
  for (const Foreign& foreign : kForeign) {
    if (foreign.section == section.name && foreign.key == key) return &foreign;
  }
  return nullptr;
}

std::string ours(const std::string& key) {
  for (const auto& [theirs, name] : kSpellings) {
    if (key == theirs) return std::string(name);
  }
  return key;
}

const YamlNode* member(const YamlNode& node, std::string_view key) {
  if (const YamlNode* found = node.find(key)) return found;
  for (const auto& [theirs, name] : kSpellings) {
    if (key == name) {
      if (const YamlNode* found = node.find(theirs)) return found;
    }
  }
  return nullptr;
}
}  // namespace

bool is_scalar(const YamlNode& node) { return node.kind == YamlNode::Kind::scalar; }
bool is_list(const YamlNode& node) { return node.kind == YamlNode::Kind::list; }
bool is_object(const YamlNode& node) { return node.kind == YamlNode::Kind::object; }

bool is_identifier(std::string_view text) {
  constexpr std::size_t kNameMax = 100;
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  const auto inner = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= kNameMax && (letter(text[0]) || text[0] == '_') &&
         std::all_of(text.begin(), text.end(), inner);
}

std::string kind_name(const YamlNode& node) {
  if (is_list(node)) return node.items.empty() ? "an empty list" : "a list";
  if (is_object(node)) return node.members.empty() ? "an empty mapping" : "a mapping";
  if (node.scalar.is_null()) return "nothing";
  return "a " + std::string(type_name(node.scalar.type()));
}

void Reader::keep(std::vector<Problem>& list, const YamlNode& at, std::size_t offset,
                  Problem problem) {
  if (list.size() >= kProblemsMax) return;
  problem.line = at.line;
  problem.column = at.column;
  problem.message = clip(problem.message, kProblemBytesMax);
  problem.hint = clip(problem.hint, kProblemBytesMax);
  if (at.exact && offset <= at.raw.size()) {
    const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    problem.column += static_cast<int>(std::count_if(
        at.raw.begin(), at.raw.begin() + static_cast<std::ptrdiff_t>(offset), begins));
    problem.column += offset > 0 && at.quoted ? 1 : 0;
  }
  const bool fresh =
      at.line == 0 || seen_
                          .insert(fmt::format("{}:{}:{}:{}", problem.line, problem.column,
                                              problem.code, problem.message))
                          .second;
  if (fresh) list.push_back(std::move(problem));
}

void Reader::error(const YamlNode& at, std::string code, std::string message, std::string hint) {
  error_at(at, 0, std::move(code), std::move(message), std::move(hint));
}
void Reader::warn(const YamlNode& at, std::string code, std::string message, std::string hint) {
  warn_at(at, 0, std::move(code), std::move(message), std::move(hint));
}
void Reader::error_at(const YamlNode& at, std::size_t offset, std::string code, std::string message,
                      std::string hint) {
  keep(errors, at, offset, {0, 0, std::move(code), std::move(message), std::move(hint)});
}
void Reader::warn_at(const YamlNode& at, std::size_t offset, std::string code, std::string message,
                     std::string hint) {
  keep(warnings, at, offset, {0, 0, std::move(code), std::move(message), std::move(hint)});
}

std::string Reader::suggest(std::string_view word, const std::vector<std::string>& names) {
  compared_ += names.size();
  if (compared_ > kSuggestionsMax) return {};
  if (const auto near = nearest(word, names)) return "did you mean `" + *near + "`?";
  constexpr std::size_t kListedMax = 40;
  if (names.empty() || names.size() > kListedMax) return {};
  return "known are: " + join(names, ", ");
}

bool Reader::keys(const YamlNode& node, const Section& section) {
  if (!is_object(node)) {
    error(node, "wrong_type",
          std::string(section.what) + " must be a mapping, not " + kind_name(node));
    return false;
  }
  for (const auto& [key, value] : node.members) {
    if (section.find(key.raw) != nullptr) continue;
    if (const Foreign* foreign = find_foreign(section, key.raw)) {
      const std::string code(foreign->code), message(foreign->message);
      foreign->refused ? error(key, code, message) : warn(key, code, message);
      continue;
    }
    const std::string spelled = ours(key.raw);
    if (spelled != key.raw && section.find(spelled) != nullptr) {
      if (node.find(spelled) != nullptr) {
        error(key, "duplicate_key", "`" + key.raw + "` is `" + spelled + "`, which is there too");
        continue;
      }
      warn(key, "spelling", "`" + key.raw + "` is written `" + spelled + "` here");
      continue;
    }
    if (full()) break;
    std::vector<std::string> names;
    for (const Key& known : section.keys) names.emplace_back(known.name);
    error(key, "unknown_key", "unknown key `" + key.raw + "` in " + std::string(section.what),
          suggest(key.raw, names));
  }
  return true;
}

std::optional<std::string> Reader::as_text(const YamlNode& node, std::string_view what) {
  if (!is_scalar(node) || node.scalar.is_null()) {
    error(node, "wrong_type", std::string(what) + " must be a string, not " + kind_name(node));
    return std::nullopt;
  }
  return node.raw;
}

const YamlNode* Reader::text(const YamlNode& node, std::string_view key, std::string& into) {
  const YamlNode* found = member(node, key);
  if (found == nullptr) return nullptr;
  auto value = as_text(*found, "`" + std::string(key) + "`");
  if (!value) return nullptr;
  into = std::move(*value);
  return found;
}

const YamlNode* Reader::boolean(const YamlNode& node, std::string_view key, bool& into) {
  const YamlNode* found = member(node, key);
  if (found == nullptr) return nullptr;
  if (!is_scalar(*found) || !found->scalar.is_bool()) {
    error(*found, "wrong_type",
          "`" + std::string(key) + "` must be true or false, not " + kind_name(*found));
    return nullptr;
  }
  into = found->scalar.as_bool();
  return found;
}

bool Reader::late(const YamlNode& node, std::string_view key, std::string& into) {
  const YamlNode* found = member(node, key);
  if (found == nullptr || !has_expression(*found)) return false;
  into = found->raw;
  return true;
}

const YamlNode* Reader::integer(const YamlNode& node, std::string_view key, int& into, int min,
                                int max) {
  const YamlNode* found = member(node, key);
  if (found == nullptr) return nullptr;
  const bool whole = is_scalar(*found) && found->scalar.is_int();
  if (!whole || found->scalar.as_int() < min || found->scalar.as_int() > max) {
    error(*found, whole ? "out_of_range" : "wrong_type",
          "`" + std::string(key) + "` must be a whole number from " + std::to_string(min) + " to " +
              std::to_string(max) + (whole ? "" : ", not " + kind_name(*found)));
    return nullptr;
  }
  into = static_cast<int>(found->scalar.as_int());
  return found;
}

const YamlNode* Reader::real(const YamlNode& node, std::string_view key, double& into, double min,
                             double max) {
  const YamlNode* found = member(node, key);
  if (found == nullptr) return nullptr;
  if (!is_scalar(*found) || !found->scalar.is_number() || found->scalar.as_double() < min ||
      found->scalar.as_double() > max) {
    error(*found, "out_of_range",
          fmt::format("`{}` must be a number from {} to {}", key, min, max));
    return nullptr;
  }
  into = found->scalar.as_double();
  return found;
}

std::optional<Millis> Reader::as_duration(const YamlNode& node, std::string_view what) {
  const auto text = as_text(node, what);
  if (!text) return std::nullopt;
  const auto duration = parse_duration(*text);
  if (!duration)
    error(node, "bad_duration", std::string(what) + " is not a duration: `" + *text + "`",
          "write it like 1h30m, 10s or 500ms");
  return duration;
}

const YamlNode* Reader::duration(const YamlNode& node, std::string_view key, Millis& into) {
  const YamlNode* found = member(node, key);
  if (found == nullptr) return nullptr;
  const auto value = as_duration(*found, "`" + std::string(key) + "`");
  if (!value) return nullptr;
  into = *value;
  return found;
}

const YamlNode* Reader::limit(const YamlNode& node, std::string_view key, Millis& into) {
  const YamlNode* found = duration(node, key, into);
  if (found != nullptr && into.count() == 0)
    error(*found, "out_of_range", "`" + std::string(key) + "` must be more than 0");
  return found;
}

const YamlNode* Reader::texts(const YamlNode& node, std::string_view key,
                              std::vector<std::string>& into) {
  const YamlNode* found = member(node, key);
  if (found == nullptr) return nullptr;
  into.clear();
  if (!is_list(*found)) {
    auto value = as_text(*found, "`" + std::string(key) + "`");
    if (value) into.push_back(std::move(*value));
    return found;
  }
  for (const YamlNode& item : found->items) {
    auto value = as_text(item, "an item of `" + std::string(key) + "`");
    if (value) into.push_back(std::move(*value));
  }
  return found;
}

const YamlNode* Reader::bindings(const YamlNode& node, std::string_view key, Bindings& into) {
  const YamlNode* found = member(node, key);
  if (found == nullptr) return nullptr;
  if (!is_object(*found)) {
    error(*found, "wrong_type",
          "`" + std::string(key) + "` must be a mapping, not " + kind_name(*found));
    return nullptr;
  }
  for (const auto& [name, value] : found->members) {
    // Lists and objects are carried as JSON (`with: {headers: {…}}`).
    if (!is_scalar(value)) {
      into.emplace_back(name.raw, to_json(to_value(value)));
    } else {
      into.emplace_back(name.raw, value.scalar.is_null() ? "" : value.raw);
    }
  }
  return found;
}

void Reader::environment(const YamlNode& node, Bindings& into) {
  const YamlNode* found = bindings(node, "env", into);
  if (found == nullptr) return;
  const auto first = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; };
  const auto inner = [&](char c) { return first(c) || (c >= '0' && c <= '9'); };
  for (const auto& [name, value] : found->members) {
    if (name.raw.empty() || !first(name.raw[0]) ||
        !std::all_of(name.raw.begin(), name.raw.end(), inner)) {
      error(name, "bad_name",
            "a variable's name has letters, digits and _ only, and does not begin with a digit");
    }
    if (!is_scalar(value)) {
      error(value, "wrong_type",
            "a variable must be a string, a number or a boolean, not " + kind_name(value),
            "to_json makes text of lists and mappings");
    }
  }
}

const YamlNode* Reader::condition(const YamlNode& node, std::string_view key, std::string& into) {
  const YamlNode* found = text(node, key, into);
  if (found == nullptr) return nullptr;
  std::string_view inner = trim(into);
  if (inner.starts_with("${{") && inner.ends_with("}}") &&
      inner.find("${{", 3) == std::string_view::npos) {
    inner = trim(inner.substr(3, inner.size() - 5));
  }
  into = std::string(inner);
  if (into.empty()) error(*found, "invalid_expression", "the condition is empty");
  return found;
}

std::optional<std::size_t> Reader::choice(const YamlNode& node, std::string_view what,
                                          std::initializer_list<std::string_view> names) {
  const auto text = as_text(node, what);
  if (!text) return std::nullopt;
  const auto found = std::find(names.begin(), names.end(), *text);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  const std::vector<std::string> list(names.begin(), names.end());
  error(node, "unknown_value",
        std::string(what) + " must be one of " + join(list, ", ") + ", not `" + *text + "`",
        suggest(*text, list));
  return std::nullopt;
}
}  // namespace mc::lang
