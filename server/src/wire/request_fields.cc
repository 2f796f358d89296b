#include "wire/request_fields.h"

#include <algorithm>

#include "base/text.h"

namespace mc::wire {
namespace {
constexpr std::size_t kProblemsMax = 50;
}

RequestFields::RequestFields(const Value& body, std::initializer_list<std::string_view> known)
    : body_(body) {
  if (!body.is_object()) {
    note(Code::invalid_field, "an object is wanted");
    return;
  }
  const std::vector<std::string> names(known.begin(), known.end());
  for (const Member& member : body.as_object()) {
    if (std::find(names.begin(), names.end(), member.first) != names.end()) continue;
    const auto near = nearest(member.first, names);
    note(Code::unknown_field, "unknown field " + member.first,
         near ? "did you mean " + *near + "?" : "");
  }
}

void RequestFields::note(Code code, std::string message, std::string hint) {
  if (error_.problems.empty()) {
    error_.code = code;
    error_.message = message;
  }
  if (error_.problems.size() >= kProblemsMax) return;
  error_.problems.push_back(
      {0, 0, std::string(code_name(code)), std::move(message), std::move(hint)});
}

const Value* RequestFields::optional(std::string_view name) const {
  const Value* found = body_.find(name);
  return found == nullptr || found->is_null() ? nullptr : found;
}

RequestFields& RequestFields::require(std::string_view name) {
  if (body_.is_object() && optional(name) == nullptr) {
    note(Code::missing_field, "the field " + std::string(name) + " is missing");
  }
  return *this;
}

void RequestFields::text(std::string_view name, std::string& into, std::size_t bytes_max) {
  const Value* given = optional(name);
  if (given == nullptr) return;
  if (!given->is_string())
    return wrong(name, "a string is wanted, not a " + std::string(type_name(given->type())));
  if (given->as_string().size() > bytes_max)
    return wrong(name, "longer than " + std::to_string(bytes_max) + " bytes");
  into = given->as_string();
}

void RequestFields::integer(std::string_view name, std::int64_t& into) {
  const Value* given = optional(name);
  if (given == nullptr) return;
  if (!given->is_int()) return wrong(name, "a whole number is wanted");
  into = given->as_int();
}

void RequestFields::boolean(std::string_view name, bool& into) {
  const Value* given = optional(name);
  if (given == nullptr) return;
  if (!given->is_bool()) return wrong(name, "true or false is wanted");
  into = given->as_bool();
}

void RequestFields::wrong(std::string_view name, std::string what) {
  note(Code::invalid_field, std::string(name) + ": " + what);
}

void RequestFields::adopt(std::string_view name, const Error& inner) {
  for (const Problem& problem : inner.problems) {
    note(inner.code, std::string(name) + ": " + problem.message, problem.hint);
  }
}
}  // namespace mc::wire
