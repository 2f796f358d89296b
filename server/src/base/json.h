// JSON text to Value and back. Numbers round-trip exactly (docs/adr/0002-json.md says why
// RapidJSON).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "base/uuid.h"
#include "base/value.h"

namespace mc {

struct JsonLimits {
  int depth = 64;
};

// Errors: malformed_json with line and column in `problems`: bad syntax, text after the value,
// invalid UTF-8, a name twice in one object, or deeper than the limit.
Result<Value> parse_json(std::string_view text, JsonLimits limits = {});

// Compact; strings are written as UTF-8, numbers in the shortest form that reads back the same.
std::string to_json(const Value& value);
// Two spaces an indent, for people.
std::string to_pretty_json(const Value& value);

// Appends JSON to a string without building a Value: for answers and stored records. The caller
// opens and closes what it writes; commas are put where they belong.
//   JsonWriter out; out.open('{').field("name", name).field("n", 3).close('}'); out.text()
class JsonWriter {
 public:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& key(std::string_view name);
  JsonWriter& null();
  JsonWriter& boolean(bool value);
  JsonWriter& integer(std::int64_t value);
  JsonWriter& real(double value);  // NaN and infinities become null
  JsonWriter& string(std::string_view value);
  JsonWriter& value(const Value& value);
  JsonWriter& raw(std::string_view json);  // Requires: one complete JSON value

  JsonWriter& item(std::string_view text) { return string(text); }
  JsonWriter& field(std::string_view name, std::string_view text) { return key(name).string(text); }
  JsonWriter& field(std::string_view name, const char* text) { return key(name).string(text); }
  JsonWriter& field(std::string_view name, const std::string& text) {
    return key(name).string(text);
  }
  JsonWriter& field(std::string_view name, bool flag) { return key(name).boolean(flag); }
  JsonWriter& field(std::string_view name, std::int64_t number) {
    return key(name).integer(number);
  }
  JsonWriter& field(std::string_view name, int number) { return key(name).integer(number); }
  JsonWriter& field(std::string_view name, std::uint32_t number) {
    return key(name).integer(number);
  }
  JsonWriter& field(std::string_view name, std::size_t number) {
    return key(name).integer(static_cast<std::int64_t>(number));
  }
  JsonWriter& field(std::string_view name, double number) { return key(name).real(number); }
  JsonWriter& field(std::string_view name, const Value& v) { return key(name).value(v); }
  // RFC 3339, or null for 0.
  JsonWriter& field(std::string_view name, Instant at);
  // The id, or null for the all-zero one.
  JsonWriter& field(std::string_view name, Uuid id);
  // The text, or null when it is empty.
  JsonWriter& text_or_null(std::string_view name, std::string_view text);

  const std::string& text() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void separate();
  std::string out_;
  bool comma_ = false;
};

}  // namespace mc
