// A value of the expression language and of JSON: null, boolean, number, string, list, object.
// Numbers keep what was written: integers that fit 64 bits stay exact, others are doubles.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mc {

class Value;
using List = std::vector<Value>;
using Member = std::pair<std::string, Value>;
// Members in the order in which they were written; names are unique (whoever builds one sees to
// it).
using Object = std::vector<Member>;

class Value {
 public:
  enum class Type : std::uint8_t { null, boolean, number, string, list, object };

  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool value) : data_(value) {}
  Value(int value) : data_(std::int64_t{value}) {}
  Value(std::int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(List value) : data_(std::move(value)) {}
  Value(Object value) : data_(std::move(value)) {}

  Type type() const;
  bool is_null() const { return data_.index() == 0; }
  bool is_bool() const { return data_.index() == 1; }
  bool is_int() const { return data_.index() == 2; }
  bool is_number() const { return data_.index() == 2 || data_.index() == 3; }
  bool is_string() const { return data_.index() == 4; }
  bool is_list() const { return data_.index() == 5; }
  bool is_object() const { return data_.index() == 6; }

  // Each requires the type it names (checked); as_int also takes a double, cut and clamped.
  bool as_bool() const;
  std::int64_t as_int() const;
  double as_double() const;
  const std::string& as_string() const;
  const List& as_list() const;
  List& as_list();
  const Object& as_object() const;
  Object& as_object();

  // The member called `name`, or nullptr when there is none or this is no object.
  const Value* find(std::string_view name) const;
  // The string member called `name`, or `fallback` when it is missing or no string.
  std::string string_or(std::string_view name, std::string_view fallback) const;
  std::int64_t int_or(std::string_view name, std::int64_t fallback) const;
  bool bool_or(std::string_view name, bool fallback) const;
  // Replaces or appends a member. Requires: an object.
  void set(std::string_view name, Value value);

  // 1 == 1.0; different types are never equal; objects compare without regard to order.
  bool operator==(const Value& other) const;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Object> data_;
};

// "null", "boolean", …: as messages name types.
std::string_view type_name(Value::Type type);

}  // namespace mc
