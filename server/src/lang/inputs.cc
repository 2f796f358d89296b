#include <re2/re2.h>

#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "lang/inputs.h"
#include "lang/parse.h"

namespace mc::lang {
namespace {
constexpr std::size_t kProblemsMax = 200;
constexpr std::string_view kTypeNames[] = {"string",  "integer", "number",
                                           "boolean", "list",    "object"};

// The value as the declared type, where that is exact; nullopt: it does not fit.
std::optional<Value> coerce(InputType type, const Value& given) {
  const bool text = given.is_string();
  switch (type) {
    case InputType::string:
      if (text) return given;
      if (given.is_number() || given.is_bool()) return Value(to_json(given));
      return std::nullopt;
    case InputType::boolean:
      if (given.is_bool()) return given;
      if (text && (given.as_string() == "true" || given.as_string() == "false"))
        return Value(given.as_string() == "true");
      return std::nullopt;
    case InputType::integer:
    case InputType::number:
    case InputType::list:
    case InputType::object: break;
  }
  Value value = given;
  if (text) {
    Result<Value> parsed = parse_json(given.as_string());
    if (!parsed) return std::nullopt;
    value = std::move(*parsed);
  }
  if (type == InputType::integer) {
    if (value.is_int()) return value;
    const bool whole =
        value.is_number() && value.as_double() == static_cast<double>(value.as_int());
    return whole ? std::optional(Value(value.as_int())) : std::nullopt;
  }
  const bool fits = (type == InputType::number && value.is_number()) ||
                    (type == InputType::list && value.is_list()) ||
                    (type == InputType::object && value.is_object());
  return fits ? std::optional(std::move(value)) : std::nullopt;
}

re2::RE2::Options bounded() {
  constexpr std::int64_t kPatternMemoryMax = 1 << 20;
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemoryMax);
  return options;
}

// `min` and `max` as they were written: 4, not 4.0.
std::string shown(double number) {
  const auto whole = static_cast<std::int64_t>(number);  // at most 1e15: it fits
  return static_cast<double>(whole) == number ? std::to_string(whole) : to_json(Value(number));
}

std::string check(const InputSpec& spec, const Value& value) {
  if (!spec.choices.empty() &&
      std::find(spec.choices.begin(), spec.choices.end(), value) == spec.choices.end()) {
    std::string names;
    for (const Value& choice : spec.choices)
      names +=
          (names.empty() ? "" : ", ") + (choice.is_string() ? choice.as_string() : to_json(choice));
    return "must be one of " + names;
  }
  if (value.is_number() && spec.min && value.as_double() < *spec.min)
    return "must be at least " + shown(*spec.min);
  if (value.is_number() && spec.max && value.as_double() > *spec.max)
    return "must be at most " + shown(*spec.max);
  if (!value.is_string()) return {};
  if (spec.max_length && static_cast<std::int64_t>(value.as_string().size()) > *spec.max_length) {
    return "is longer than " + std::to_string(*spec.max_length) + " bytes";
  }
  if (!spec.pattern.empty() &&
      !re2::RE2::PartialMatch(value.as_string(), re2::RE2(spec.pattern, bounded()))) {
    return "does not match " + spec.pattern;
  }
  return {};
}
}  // namespace

std::string_view input_type_name(InputType type) {
  return kTypeNames[static_cast<std::size_t>(type)];
}

bool fits_type(InputType type, const Value& value) { return coerce(type, value).has_value(); }

std::string pattern_error(const std::string& pattern) {
  const re2::RE2 regex(pattern, bounded());
  return regex.ok() ? std::string() : regex.error();
}

Result<Value> resolve_inputs(const std::vector<InputSpec>& specs, const Value& given) {
  Error error{Code::invalid_input, "", {}};
  const auto report = [&](const std::string& name, const std::string& what, std::string hint = {}) {
    error.problems.push_back(
        {0, 0, "invalid_input", "input " + name + ": " + what, std::move(hint)});
  };
  if (!given.is_object()) return Error{Code::invalid_input, "inputs must be an object", {}};
  std::vector<std::string> names;
  Object resolved;
  for (const InputSpec& spec : specs) {
    names.push_back(spec.name);
    const Value* value = given.find(spec.name);
    if (value == nullptr || (value->is_null() && spec.default_value)) {
      if (spec.default_value)
        resolved.emplace_back(spec.name,
                              coerce(spec.type, *spec.default_value).value_or(*spec.default_value));
      if (!spec.default_value && spec.required) report(spec.name, "is missing");
      if (!spec.default_value && !spec.required) resolved.emplace_back(spec.name, Value());
      continue;
    }
    const auto fits = coerce(spec.type, *value);
    if (!fits) {
      report(spec.name, "must be of type " + std::string(input_type_name(spec.type)));
      continue;
    }
    const std::string wrong = check(spec, *fits);
    if (!wrong.empty()) report(spec.name, wrong);
    resolved.emplace_back(spec.name, *fits);
  }
  for (const Member& member : given.as_object()) {
    if (std::find(names.begin(), names.end(), member.first) != names.end()) continue;
    if (error.problems.size() >= kProblemsMax) break;
    const auto near = nearest(member.first, names);
    report(member.first, "the workflow has no such input",
           near ? "did you mean `" + *near + "`?" : "");
  }
  if (error.problems.empty()) return Value(std::move(resolved));
  for (const Problem& problem : error.problems)
    error.message += (error.message.empty() ? "" : "; ") + problem.message;
  return error;
}
}  // namespace mc::lang
