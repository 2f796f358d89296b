// Plain structs to JSON objects and back, from one list of fields a struct: a field cannot be in
// only one direction. A struct `S` takes part by a function found by argument-dependent lookup or
// declared before use:
//   template <class V> void fields(V& v, S& s) { v("name", s.name); v("count", s.count); }
// Written are the members that differ from zero, empty or null; what is absent keeps the struct's
// own default. Where that default is another one, v takes it as a third argument, or kAlways for a
// member that is to be seen whatever it holds. Unknown members are ignored.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/json.h"
#include "model/event.h"

namespace mc::wire {

inline constexpr std::string_view kPhases[] = {"graph", "on_failure", "compensate", "finally"};

struct Always {};
inline constexpr Always kAlways;

// Writes what differs from the default.
struct FieldWriter {
  JsonWriter& out;

  template <class T>
  void operator()(std::string_view name, T& value) {
    if (is_default(value)) return;
    out.key(name);
    write(value);
  }
  template <class T>
  void operator()(std::string_view name, T& value, const std::type_identity_t<T>& usual) {
    if (value == usual) return;
    out.key(name);
    write(value);
  }
  template <class T>
  void operator()(std::string_view name, T& value, Always) {
    out.key(name);
    write(value);
  }

 private:
  static bool is_default(const Value& v) { return v.is_null(); }
  template <class T>
  static bool is_default(const std::vector<T>& v) {
    return v.empty();
  }
  template <class T>
  static bool is_default(const std::optional<T>& v) {
    return !v.has_value();
  }
  template <class T>
  static bool is_default(const T& v) {
    if constexpr (std::equality_comparable<T>) return v == T{};
    return false;
  }

  void write(const Value& v) { out.value(v); }
  void write(const std::string& v) { out.string(v); }
  void write(bool v) { out.boolean(v); }
  void write(std::int64_t v) { out.integer(v); }
  void write(int v) { out.integer(v); }
  void write(std::uint32_t v) { out.integer(v); }
  void write(Instant v) { out.integer(v.ms); }
  void write(Uuid v) { out.string(to_string(v)); }
  void write(Phase v) { out.string(kPhases[static_cast<std::size_t>(v)]); }
  void write(const std::pair<std::string, std::string>& v) {
    out.open('[').item(v.first).item(v.second).close(']');
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  void write(Enum v) {
    out.string(to_name(v));
  }
  template <class T>
  void write(std::optional<T>& v) {
    write(*v);
  }
  template <class T>
  void write(std::vector<T>& v) {
    out.open('[');
    for (T& item : v) write(item);
    out.close(']');
  }
  template <class Struct>
    requires requires(Struct s, FieldWriter w) { fields(w, s); }
  void write(Struct& v) {
    out.open('{');
    fields(*this, v);
    out.close('}');
  }
};

struct FieldLoader {
  const Value& in;
  bool ok = true;

  template <class T>
  void operator()(std::string_view name, T& value) {
    if (const Value* given = in.find(name)) ok &= read(*given, value);
  }
  template <class T>
  void operator()(std::string_view name, T& value, const std::type_identity_t<T>&) {
    (*this)(name, value);
  }
  template <class T>
  void operator()(std::string_view name, T& value, Always) {
    (*this)(name, value);
  }

 private:
  static bool read(const Value& in, Value& v) {
    v = in;
    return true;
  }
  static bool read(const Value& in, std::string& v) {
    if (in.is_string()) v = in.as_string();
    return in.is_string();
  }
  static bool read(const Value& in, bool& v) {
    if (in.is_bool()) v = in.as_bool();
    return in.is_bool();
  }
  template <class Int>
    requires(std::is_integral_v<Int> && !std::is_same_v<Int, bool>)
  static bool read(const Value& in, Int& v) {
    if (!in.is_int() || !std::in_range<Int>(in.as_int())) return false;
    v = static_cast<Int>(in.as_int());
    return true;
  }
  static bool read(const Value& in, Instant& v) { return read(in, v.ms); }
  static bool read(const Value& in, Uuid& v) {
    const auto id = in.is_string() ? parse_uuid(in.as_string()) : std::nullopt;
    if (id) v = *id;
    return id.has_value();
  }
  static bool read(const Value& in, Phase& v) {
    for (std::size_t i = 0; in.is_string() && i < std::size(kPhases); ++i) {
      if (kPhases[i] == in.as_string()) {
        v = static_cast<Phase>(i);
        return true;
      }
    }
    return false;
  }
  static bool read(const Value& in, std::pair<std::string, std::string>& v) {
    if (!in.is_list() || in.as_list().size() != 2) return false;
    return read(in.as_list()[0], v.first) && read(in.as_list()[1], v.second);
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  static bool read(const Value& in, Enum& v) {
    const auto named = in.is_string() ? from_name<Enum>(in.as_string()) : std::nullopt;
    if (named) v = *named;
    return named.has_value();
  }
  template <class T>
  static bool read(const Value& in, std::optional<T>& v) {
    return read(in, v.emplace());
  }
  template <class T>
  static bool read(const Value& in, std::vector<T>& v) {
    if (!in.is_list()) return false;
    for (const Value& item : in.as_list()) {
      if (!read(item, v.emplace_back())) return false;
    }
    return true;
  }
  template <class Struct>
    requires requires(Struct s, FieldLoader r) { fields(r, s); }
  static bool read(const Value& in, Struct& v) {
    FieldLoader reader{in};
    if (in.is_object()) fields(reader, v);
    return in.is_object() && reader.ok;
  }
};

}  // namespace mc::wire
