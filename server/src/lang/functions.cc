#include "lang/functions.h"

#include <re2/re2.h>

#include <algorithm>
#include <map>

#include "base/json.h"
#include "base/text.h"

namespace mc::lang {
namespace {
constexpr std::size_t kResultMax = 1 << 20;
constexpr std::int64_t kRegexMemoryMax = 1 << 20;

constexpr FunctionInfo kFunctions[] = {
    {"success", 0, 0, true},    {"failure", 0, 0, true},      {"cancelled", 0, 0, true},
    {"always", 0, 0, true},     {"contains", 2, 2, false},    {"starts_with", 2, 2, false},
    {"ends_with", 2, 2, false}, {"matches", 2, 2, false},     {"format", 1, -1, false},
    {"join", 1, 2, false},      {"split", 2, 2, false},       {"lower", 1, 1, false},
    {"upper", 1, 1, false},     {"trim", 1, 1, false},        {"replace", 3, 3, false},
    {"length", 1, 1, false},    {"default", 2, 2, false},     {"to_json", 1, 1, false},
    {"from_json", 1, 1, false}, {"hash_files", 1, -1, false}, {"keys", 1, 1, false},
    {"values", 1, 1, false},    {"[]", 0, -1, false}};

using Arguments = std::vector<Value>;

Error wrong(std::string message) { return Error{Code::invalid_expression, std::move(message), {}}; }

Result<std::string_view> text_at(const Arguments& arguments, std::size_t i,
                                 std::string_view function) {
  if (arguments[i].is_string()) return std::string_view(arguments[i].as_string());
  return wrong(std::string(function) + " wants a string, not a " +
               std::string(type_name(arguments[i].type())));
}

Result<Value> contains(const Arguments& a) {
  if (a[0].is_list())
    return Value(std::find(a[0].as_list().begin(), a[0].as_list().end(), a[1]) !=
                 a[0].as_list().end());
  const auto part = text_at(a, 1, "contains");
  if (!part) return part.error();
  if (a[0].is_object()) return Value(a[0].find(*part) != nullptr);
  const auto text = text_at(a, 0, "contains");
  if (!text) return text.error();
  return Value(text->find(*part) != std::string_view::npos);
}

Result<Value> affix(const Arguments& a, std::string_view name, bool start) {
  const auto text = text_at(a, 0, name), part = text_at(a, 1, name);
  if (!text) return text.error();
  if (!part) return part.error();
  return Value(start ? text->starts_with(*part) : text->ends_with(*part));
}

re2::RE2::Options regex_options() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryMax);
  return options;
}

Result<Value> matches(const Arguments& a) {
  const auto text = text_at(a, 0, "matches"), pattern = text_at(a, 1, "matches");
  if (!text) return text.error();
  if (!pattern) return pattern.error();
  const re2::RE2 regex(re2::StringPiece(pattern->data(), pattern->size()), regex_options());
  if (!regex.ok()) return wrong("matches: bad pattern: " + regex.error());
  return Value(re2::RE2::PartialMatch(re2::StringPiece(text->data(), text->size()), regex));
}

// '{0} of {1}', with {{ and }} for braces.
Result<Value> format(const Arguments& a) {
  const auto pattern = text_at(a, 0, "format");
  if (!pattern) return pattern.error();
  std::string out;
  for (std::size_t i = 0; i < pattern->size(); ++i) {
    const char c = (*pattern)[i];
    const bool doubled = i + 1 < pattern->size() && (*pattern)[i + 1] == c;
    if ((c == '{' || c == '}') && doubled) {
      out.push_back(c);
      ++i;
    } else if (c == '{') {
      const std::size_t end = pattern->find('}', i);
      std::size_t number = 0;
      for (std::size_t d = i + 1; d < end && end != std::string_view::npos; ++d) {
        const char digit = (*pattern)[d];
        number = digit >= '0' && digit <= '9' && number < 1000
                     ? number * 10 + static_cast<std::size_t>(digit - '0')
                     : 9999;
      }
      if (end == std::string_view::npos || end == i + 1 || number + 1 >= a.size()) {
        return wrong("format: there is no argument for the placeholder at position " +
                     std::to_string(i));
      }
      out += to_text(a[number + 1]);
      i = end;
    } else if (c == '}') {
      return wrong("format: a single } at position " + std::to_string(i) + "; write }}");
    } else {
      out.push_back(c);
    }
    if (out.size() > kResultMax) return wrong("format: the result is larger than 1 MiB");
  }
  return Value(std::move(out));
}

Result<Value> join_list(const Arguments& a) {
  if (!a[0].is_list()) return wrong("join wants a list");
  std::string separator = ",";
  if (a.size() > 1) {
    const auto given = text_at(a, 1, "join");
    if (!given) return given.error();
    separator = *given;
  }
  std::string out;
  for (std::size_t i = 0; i < a[0].as_list().size(); ++i) {
    if (i > 0) out += separator;
    out += to_text(a[0].as_list()[i]);
    if (out.size() > kResultMax) return wrong("join: the result is larger than 1 MiB");
  }
  return Value(std::move(out));
}

Result<Value> split_text(const Arguments& a) {
  const auto text = text_at(a, 0, "split"), separator = text_at(a, 1, "split");
  if (!text) return text.error();
  if (!separator) return separator.error();
  if (separator->empty()) return wrong("split: the separator is empty");
  List parts;
  std::string_view rest = *text;
  while (true) {
    const std::size_t at = rest.find(*separator);
    parts.emplace_back(rest.substr(0, at));
    if (at == std::string_view::npos) return Value(std::move(parts));
    rest.remove_prefix(at + separator->size());
  }
}

Result<Value> replace(const Arguments& a) {
  const auto text = text_at(a, 0, "replace"), from = text_at(a, 1, "replace"),
             to = text_at(a, 2, "replace");
  if (!text) return text.error();
  if (!from) return from.error();
  if (!to) return to.error();
  if (from->empty()) return wrong("replace: what to replace is empty");
  std::string out;
  std::string_view rest = *text;
  while (true) {
    const std::size_t at = rest.find(*from);
    out += rest.substr(0, at);
    if (out.size() > kResultMax) return wrong("replace: the result is larger than 1 MiB");
    if (at == std::string_view::npos) return Value(std::move(out));
    out += *to;
    rest.remove_prefix(at + from->size());
  }
}

Result<Value> letters(const Arguments& a, std::string_view name) {
  const auto text = text_at(a, 0, name);
  if (!text) return text.error();
  if (name == "trim") return Value(trim(*text));
  if (name == "lower") return Value(to_lower(*text));
  std::string out(*text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return Value(std::move(out));
}

// Characters of a string, items of a list, members of an object.
Result<Value> length(const Arguments& a) {
  if (a[0].is_list()) return Value(static_cast<std::int64_t>(a[0].as_list().size()));
  if (a[0].is_object()) return Value(static_cast<std::int64_t>(a[0].as_object().size()));
  const auto text = text_at(a, 0, "length");
  if (!text) return wrong("length wants a string, a list or an object");
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  return Value(static_cast<std::int64_t>(text->size()) -
               static_cast<std::int64_t>(std::count_if(text->begin(), text->end(), continues)));
}

Result<Value> members(const Arguments& a, bool names) {
  if (!a[0].is_object()) return wrong(names ? "keys wants an object" : "values wants an object");
  List out;
  for (const Member& member : a[0].as_object())
    out.push_back(names ? Value(member.first) : member.second);
  return Value(std::move(out));
}

Result<Value> read_json(const Arguments& a) {
  const auto text = text_at(a, 0, "from_json");
  if (!text) return text.error();
  Result<Value> value = parse_json(*text);
  if (!value) return wrong("from_json: " + value.error().message);
  return value;
}
}  // namespace

const FunctionInfo* find_function(std::string_view name) {
  for (const FunctionInfo& function : kFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

std::vector<std::string> function_names() {
  std::vector<std::string> names;
  for (const FunctionInfo& function : kFunctions) {
    if (function.name != "[]") names.emplace_back(function.name);
  }
  return names;
}

std::string to_text(const Value& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_null()) return "";
  return to_json(value);
}

std::size_t cost_of_call(std::string_view name, const Arguments& a) {
  if (name != "matches" || !a[0].is_string() || !a[1].is_string()) return 0;
  // Compiling costs by the pattern, matching at worst by pattern times text.
  constexpr std::size_t kCompileShare = 16, kStepsAnOperation = 10'000;
  const std::string& pattern = a[1].as_string();
  if (pattern.size() > 10'000) return 10'001;
  const re2::RE2 regex(pattern, regex_options());
  const auto program = static_cast<std::size_t>(regex.ok() ? regex.ProgramSize() : 0);
  return (pattern.size() + program) / kCompileShare +
         program * a[0].as_string().size() / kStepsAnOperation;
}

Result<Value> call_function(std::string_view name, const Arguments& a) {
  if (name == "contains") return contains(a);
  if (name == "starts_with") return affix(a, name, true);
  if (name == "ends_with") return affix(a, name, false);
  if (name == "matches") return matches(a);
  if (name == "format") return format(a);
  if (name == "join") return join_list(a);
  if (name == "split") return split_text(a);
  if (name == "lower" || name == "upper" || name == "trim") return letters(a, name);
  if (name == "replace") return replace(a);
  if (name == "length") return length(a);
  if (name == "default") return a[0].is_null() ? a[1] : a[0];
  if (name == "to_json") return Value(to_json(a[0]));
  if (name == "from_json") return read_json(a);
  if (name == "keys") return members(a, true);
  if (name == "values") return members(a, false);
  if (name == "[]") return Value(List(a.begin(), a.end()));
  return wrong("there is no function " + std::string(name));
}
}  // namespace mc::lang
