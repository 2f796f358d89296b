// One byte range of a Range header (RFC 9110, 14.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mc::http {

struct ByteRange {
  std::int64_t offset = 0;
  std::int64_t length = 0;
};
enum class RangeKind { none, range, unsatisfiable };
// none: no header, another unit, several ranges or bad syntax: the whole is sent.
RangeKind parse_range(std::string_view header, std::int64_t size, ByteRange& into);

}  // namespace mc::http
