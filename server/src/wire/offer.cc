#include "wire/offer.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "base/text.h"

namespace mc::wire {
namespace {
constexpr std::string_view kNone = "none";

template <class Number>
bool read(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  return result.ec == std::errc{} && result.ptr == end;
}
}  // namespace

std::string encode_next(const std::optional<Offer>& next) {
  if (!next) return std::string(kNone);
  return fmt::format("{} {} {} {}", next->priority, next->share.running, next->share.weight,
                     next->project);
}

std::optional<Next> decode_next(std::string_view text) {
  if (text == kNone) return Next{};
  const std::vector<std::string> parts = split(text, ' ');
  Offer offer;
  if (parts.size() != 4 || !read(parts[0], offer.priority)) return std::nullopt;
  if (!read(parts[1], offer.share.running) || !read(parts[2], offer.share.weight))
    return std::nullopt;
  if (offer.share.weight < 1 || !is_name(parts[3])) return std::nullopt;
  offer.project = parts[3];
  return Next{std::move(offer)};
}

}  // namespace mc::wire
