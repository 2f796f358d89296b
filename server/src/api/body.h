// Reads the fields of a JSON body and gathers everything that is wrong with it, so that one answer
// names all of it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "base/value.h"

namespace mc::api {

class Body {
 public:
  // `text` empty: an empty object. `known`: every field that may be there. Lives no longer than
  // `into`, which holds what was read.
  Body(std::string_view text, std::initializer_list<std::string_view> known);

  bool has(std::string_view name) const { return value(name) != nullptr; }
  // nullptr when missing or null.
  const Value* value(std::string_view name) const;
  // Each notes invalid_field when the field has another type, and then gives the fallback.
  std::string text(std::string_view name, std::size_t bytes_max = 4096);
  std::int64_t integer(std::string_view name, std::int64_t fallback, std::int64_t min,
                       std::int64_t max);
  bool boolean(std::string_view name, bool fallback);
  Instant time(std::string_view name);
  Value object(std::string_view name);  // {} when missing
  std::vector<std::string> texts(std::string_view name, std::size_t count_max);
  std::vector<std::pair<std::string, std::string>> pairs(std::string_view name,
                                                         std::size_t count_max);
  // Index into `names`, or `fallback`.
  std::size_t choice(std::string_view name, std::initializer_list<std::string_view> names,
                     std::size_t fallback);

  void require(std::string_view name);
  void wrong(std::string_view name, std::string what, Code code = Code::invalid_field,
             std::string hint = {});
  // What was found so far; its code is the first problem's. malformed_json stands alone.
  Status status() const;
  const Value& all() const { return body_; }

 private:
  Value body_ = Object{};
  std::optional<Error> error_;
};

// Decimal digits only, within bounds.
std::optional<std::int64_t> read_integer(std::string_view text, std::int64_t min, std::int64_t max);

}  // namespace mc::api
