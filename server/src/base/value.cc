#include "base/value.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace mc {
namespace {
template <class T, class Data>
auto& get(Data& data) {
  auto* held = std::get_if<T>(&data);
  MC_CHECK(held != nullptr);
  return *held;
}

bool same_members(const Object& a, const Value& b) {
  return a.size() == b.as_object().size() && std::all_of(a.begin(), a.end(), [&](const Member& m) {
           const Value* other = b.find(m.first);
           return other != nullptr && *other == m.second;
         });
}
}  // namespace

Value::Type Value::type() const {
  constexpr Type kTypes[] = {Type::null,   Type::boolean, Type::number, Type::number,
                             Type::string, Type::list,    Type::object};
  return kTypes[data_.index()];
}

bool Value::as_bool() const { return get<bool>(data_); }
std::int64_t Value::as_int() const {
  if (const auto* real = std::get_if<double>(&data_)) {
    constexpr double kEdge = 9.2e18;
    if (std::isnan(*real)) return 0;
    return static_cast<std::int64_t>(std::clamp(*real, -kEdge, kEdge));
  }
  return get<std::int64_t>(data_);
}
double Value::as_double() const {
  if (const auto* whole = std::get_if<std::int64_t>(&data_)) return static_cast<double>(*whole);
  return get<double>(data_);
}
const std::string& Value::as_string() const { return get<std::string>(data_); }
const List& Value::as_list() const { return get<List>(data_); }
List& Value::as_list() { return get<List>(data_); }
const Object& Value::as_object() const { return get<Object>(data_); }
Object& Value::as_object() { return get<Object>(data_); }

const Value* Value::find(std::string_view name) const {
  const auto* members = std::get_if<Object>(&data_);
  if (members == nullptr) return nullptr;
  for (const Member& member : *members) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

std::string Value::string_or(std::string_view name, std::string_view fallback) const {
  const Value* member = find(name);
  return member != nullptr && member->is_string() ? member->as_string() : std::string(fallback);
}
std::int64_t Value::int_or(std::string_view name, std::int64_t fallback) const {
  const Value* member = find(name);
  return member != nullptr && member->is_number() ? member->as_int() : fallback;
}
bool Value::bool_or(std::string_view name, bool fallback) const {
  const Value* member = find(name);
  return member != nullptr && member->is_bool() ? member->as_bool() : fallback;
}

void Value::set(std::string_view name, Value value) {
  Object& members = as_object();
  for (Member& member : members) {
    if (member.first == name) {
      member.second = std::move(value);
      return;
    }
  }
  members.emplace_back(std::string(name), std::move(value));
}

bool Value::operator==(const Value& other) const {
  if (is_int() && other.is_int()) return as_int() == other.as_int();
  if (is_number() && other.is_number()) return as_double() == other.as_double();
  if (type() != other.type()) return false;
  switch (type()) {
    case Type::null: return true;
    case Type::boolean: return as_bool() == other.as_bool();
    case Type::number: return false;
    case Type::string: return as_string() == other.as_string();
    case Type::list: return as_list() == other.as_list();
    case Type::object: return same_members(as_object(), other);
  }
  return false;
}

std::string_view type_name(Value::Type type) {
  switch (type) {
    case Value::Type::null: return "null";
    case Value::Type::boolean: return "boolean";
    case Value::Type::number: return "number";
    case Value::Type::string: return "string";
    case Value::Type::list: return "list";
    case Value::Type::object: return "object";
  }
  return "";
}
}  // namespace mc
