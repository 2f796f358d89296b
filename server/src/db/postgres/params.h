// Parameters of a statement in PostgreSQL's binary format: numbers, ids, bytes, names, and arrays
// of them for `unnest`, so that one statement takes a batch of any size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"

namespace mc::db::pg {

// A `text`: for the names of closed vocabularies. Plain string_views are `bytea`.
struct Text {
  std::string_view value;
};

// The object ids of a type and of its array in every PostgreSQL (pg_type.dat).
template <class T>
struct Type;
template <>
struct Type<std::int64_t> {
  static constexpr unsigned kOid = 20, kArray = 1016;
};
template <>
struct Type<std::string_view> {
  static constexpr unsigned kOid = 17, kArray = 1001;
};
template <>
struct Type<Text> {
  static constexpr unsigned kOid = 25, kArray = 1009;
};
template <>
struct Type<Uuid> {
  static constexpr unsigned kOid = 2950, kArray = 2951;
};

void put_int32(std::string& out, std::int64_t value);
void put_int64(std::string& out, std::int64_t value);
// The value with its length before it, as elements of arrays are written.
void put_element(std::string& out, std::int64_t value);
void put_element(std::string& out, std::string_view value);
void put_element(std::string& out, Text value);
void put_element(std::string& out, Uuid value);

class Params {
 public:
  template <class T>
  Params& add(T value) {
    std::string bytes;
    put_element(bytes, value);
    return push(Type<T>::kOid, bytes.substr(kLengthBytes));
  }
  Params& add(Instant value) { return add(value.ms); }
  Params& add(const std::string& value) { return add(std::string_view(value)); }

  // An array with get(item) of each item, in order.
  template <class Items, class Get>
  Params& list(const Items& items, const Get& get) {
    using T = decltype(get(*items.begin()));
    std::string bytes;
    put_head(bytes, Type<T>::kOid, items.size());
    for (const auto& item : items) put_element(bytes, get(item));
    return push(Type<T>::kArray, std::move(bytes));
  }

  int count() const { return static_cast<int>(values_.size()); }
  const std::vector<unsigned>& types() const { return types_; }
  const std::vector<std::string>& values() const { return values_; }

 private:
  static constexpr std::size_t kLengthBytes = 4;
  static void put_head(std::string& out, unsigned type, std::size_t count);
  Params& push(unsigned type, std::string bytes) {
    types_.push_back(type);
    values_.push_back(std::move(bytes));
    return *this;
  }

  std::vector<unsigned> types_;
  std::vector<std::string> values_;
};

struct Statement {
  std::string sql;
  Params params;
};

}  // namespace mc::db::pg
