#include "http/range.h"

#include <algorithm>
#include <charconv>

namespace mc::http {
namespace {
std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (text.empty() || read.ptr != end || read.ec != std::errc{} || value < 0) return std::nullopt;
  return value;
}
}  // namespace

RangeKind parse_range(std::string_view header, std::int64_t size, ByteRange& into) {
  constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit)) return RangeKind::none;
  header.remove_prefix(kUnit.size());
  const std::size_t dash = header.find('-');
  if (dash == std::string_view::npos) return RangeKind::none;
  const std::string_view from = header.substr(0, dash), to = header.substr(dash + 1);
  if (from.empty()) {
    const auto last = number(to);
    if (!last) return RangeKind::none;
    if (*last == 0 || size == 0) return RangeKind::unsatisfiable;
    into = {std::max<std::int64_t>(0, size - *last), std::min(*last, size)};
    return RangeKind::range;
  }
  const auto first = number(from);
  const auto last = to.empty() ? std::optional<std::int64_t>(size - 1) : number(to);
  if (!first || !last || (!to.empty() && *last < *first)) return RangeKind::none;
  if (*first >= size) return RangeKind::unsatisfiable;
  into = {*first, std::min(*last, size - 1) - *first + 1};
  return RangeKind::range;
}
}  // namespace mc::http
