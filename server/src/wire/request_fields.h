// The fields of a request body, read one by one; everything that is wrong is gathered, so that one
// answer names all of it.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/value.h"

namespace mc::wire {

class RequestFields {
 public:
  // Unknown members are noted as unknown_field. `body` outlives this.
  RequestFields(const Value& body, std::initializer_list<std::string_view> known);

  // nullptr when absent or null.
  const Value* optional(std::string_view name) const;
  // Notes missing_field when it is absent.
  RequestFields& require(std::string_view name);
  // Each notes invalid_field when the field is there with another type or too long.
  void text(std::string_view name, std::string& into, std::size_t bytes_max);
  void integer(std::string_view name, std::int64_t& into);
  void boolean(std::string_view name, bool& into);
  template <class T>
  void list(std::string_view name, std::vector<T>& into, Result<T> (*read)(const Value&),
            std::size_t count_max) {
    const Value* given = optional(name);
    if (given == nullptr) return;
    if (!given->is_list() || given->as_list().size() > count_max) {
      return wrong(name, "a list of at most " + std::to_string(count_max) + " is wanted");
    }
    into.reserve(given->as_list().size());
    for (std::size_t i = 0; i < given->as_list().size(); ++i) {
      Result<T> item = read(given->as_list()[i]);
      if (!item) {
        adopt(std::string(name) + "[" + std::to_string(i) + "]", item.error());
        continue;
      }
      into.push_back(std::move(*item));
    }
  }
  void wrong(std::string_view name, std::string what);
  // Notes the problems of an inner object under `name`.
  void adopt(std::string_view name, const Error& inner);

  template <class T>
  Result<T> finish(T value) {
    if (error_.problems.empty()) return value;
    return std::move(error_);
  }

 private:
  void note(Code code, std::string message, std::string hint = {});
  const Value& body_;
  Error error_;
};

}  // namespace mc::wire
