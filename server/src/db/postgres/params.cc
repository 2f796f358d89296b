#include "db/postgres/params.h"

namespace mc::db::pg {
namespace {
void put_big_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((value >> shift) & 0xffU));
}
}  // namespace

void put_int32(std::string& out, std::int64_t value) {
  put_big_endian(out, static_cast<std::uint64_t>(value), 4);
}
void put_int64(std::string& out, std::int64_t value) {
  put_big_endian(out, static_cast<std::uint64_t>(value), 8);
}
void put_element(std::string& out, std::int64_t value) {
  put_int32(out, 8);
  put_int64(out, value);
}
void put_element(std::string& out, std::string_view value) {
  put_int32(out, static_cast<std::int64_t>(value.size()));
  out.append(value);
}
void put_element(std::string& out, Text value) { put_element(out, value.value); }
void put_element(std::string& out, Uuid value) {
  put_int32(out, 16);
  put_big_endian(out, value.high, 8);
  put_big_endian(out, value.low, 8);
}

void Params::put_head(std::string& out, unsigned type, std::size_t count) {
  put_int32(out, count == 0 ? 0 : 1);  // dimensions
  put_int32(out, 0);                   // no element is null
  put_int32(out, type);
  if (count == 0) return;
  put_int32(out, static_cast<std::int64_t>(count));
  put_int32(out, 1);  // the first index
}

}  // namespace mc::db::pg
