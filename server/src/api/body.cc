#include "api/body.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "base/text.h"

namespace mc::api {

Body::Body(std::string_view text, std::initializer_list<std::string_view> known) {
  if (trim(text).empty()) return;
  Result<Value> parsed = parse_json(text);
  if (!parsed) {
    error_ = parsed.error();
    return;
  }
  if (!parsed->is_object()) {
    error_ =
        Error{Code::invalid_field,
              "the body is a " + std::string(type_name(parsed->type())) + ": an object is wanted",
              {}};
    return;
  }
  body_ = std::move(*parsed);
  const std::vector<std::string> names(known.begin(), known.end());
  for (const Member& member : body_.as_object()) {
    if (std::find(names.begin(), names.end(), member.first) != names.end()) continue;
    const auto near = nearest(member.first, names);
    wrong(member.first, "this field is not known", Code::unknown_field,
          near ? "did you mean `" + *near + "`?" : "known are: " + join(names, ", "));
  }
}

const Value* Body::value(std::string_view name) const {
  const Value* found = body_.find(name);
  return found == nullptr || found->is_null() ? nullptr : found;
}

std::string Body::text(std::string_view name, std::size_t bytes_max) {
  const Value* found = value(name);
  if (found == nullptr) return {};
  if (!found->is_string()) {
    wrong(name, "a string is wanted");
    return {};
  }
  if (found->as_string().size() > bytes_max) {
    wrong(name, "at most " + std::to_string(bytes_max) + " bytes are taken");
    return {};
  }
  return found->as_string();
}

std::int64_t Body::integer(std::string_view name, std::int64_t fallback, std::int64_t min,
                           std::int64_t max) {
  const Value* found = value(name);
  if (found == nullptr) return fallback;
  if (!found->is_int() || found->as_int() < min || found->as_int() > max) {
    wrong(name,
          "an integer from " + std::to_string(min) + " to " + std::to_string(max) + " is wanted");
    return fallback;
  }
  return found->as_int();
}

bool Body::boolean(std::string_view name, bool fallback) {
  const Value* found = value(name);
  if (found == nullptr) return fallback;
  if (!found->is_bool()) {
    wrong(name, "true or false is wanted");
    return fallback;
  }
  return found->as_bool();
}

Instant Body::time(std::string_view name) {
  const Value* found = value(name);
  if (found == nullptr) return {};
  const auto at = found->is_string() ? parse_rfc3339(found->as_string()) : std::nullopt;
  if (!at) wrong(name, "an RFC 3339 time is wanted, such as 2026-01-31T12:00:00Z");
  return at.value_or(Instant{});
}

Value Body::object(std::string_view name) {
  const Value* found = value(name);
  if (found != nullptr && !found->is_object()) wrong(name, "an object is wanted");
  return found != nullptr && found->is_object() ? *found : Value(Object{});
}

std::vector<std::string> Body::texts(std::string_view name, std::size_t count_max) {
  std::vector<std::string> out;
  const Value* found = value(name);
  if (found == nullptr) return out;
  const bool fine = found->is_list() && found->as_list().size() <= count_max &&
                    std::all_of(found->as_list().begin(), found->as_list().end(),
                                [](const Value& item) { return item.is_string(); });
  if (!fine) {
    wrong(name, "a list of at most " + std::to_string(count_max) + " strings is wanted");
    return out;
  }
  for (const Value& item : found->as_list()) out.push_back(item.as_string());
  return out;
}

std::vector<std::pair<std::string, std::string>> Body::pairs(std::string_view name,
                                                             std::size_t count_max) {
  constexpr std::size_t kPairBytesMax = 256;
  std::vector<std::pair<std::string, std::string>> out;
  const Value* found = value(name);
  if (found == nullptr) return out;
  if (!found->is_object() || found->as_object().size() > count_max) {
    wrong(name, "an object of at most " + std::to_string(count_max) + " strings by name is wanted");
    return out;
  }
  for (const Member& member : found->as_object()) {
    if (!member.second.is_string() || member.first.empty() || member.first.size() > kPairBytesMax ||
        member.second.as_string().size() > kPairBytesMax) {
      wrong(std::string(name) + "." + member.first,
            "a string of at most " + std::to_string(kPairBytesMax) + " bytes is wanted");
      continue;
    }
    out.emplace_back(member.first, member.second.as_string());
  }
  return out;
}

std::size_t Body::choice(std::string_view name, std::initializer_list<std::string_view> names,
                         std::size_t fallback) {
  const Value* found = value(name);
  if (found == nullptr) return fallback;
  if (found->is_string()) {
    const auto* at = std::find(names.begin(), names.end(), found->as_string());
    if (at != names.end()) return static_cast<std::size_t>(at - names.begin());
  }
  const std::vector<std::string> all(names.begin(), names.end());
  const auto near = found->is_string() ? nearest(found->as_string(), all) : std::nullopt;
  wrong(name, "one of " + join(all, ", ") + " is wanted", Code::invalid_field,
        near ? "did you mean `" + *near + "`?" : "");
  return fallback;
}

void Body::require(std::string_view name) {
  if (error_ && error_->problems.empty()) return;  // there is no object to look into
  if (!has(name)) wrong(name, "this field is missing", Code::missing_field);
}

void Body::wrong(std::string_view name, std::string what, Code code, std::string hint) {
  std::string message = std::string(name) + ": " + what;
  if (!error_) error_ = Error{code, message + (hint.empty() ? "" : "; " + hint), {}};
  if (error_->code == Code::malformed_json) return;
  error_->problems.push_back(
      {0, 0, std::string(code_name(code)), std::move(message), std::move(hint)});
}

Status Body::status() const { return error_ ? Status(*error_) : Status(); }

std::optional<std::int64_t> read_integer(std::string_view text, std::int64_t min,
                                         std::int64_t max) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (text.empty() || read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  if (number < min || number > max) return std::nullopt;
  return number;
}
}  // namespace mc::api
