// 128-bit identifiers in the form of RFC 9562 version 7: they sort by the time they were made.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/time.h"

namespace mc {

struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Uuid&) const = default;
  // False for the all-zero id, which stands for "none".
  explicit operator bool() const { return (high | low) != 0; }
};

// A fresh id. Ids of one Rng made in the same millisecond need not sort by creation.
Uuid make_uuid(Instant now, Rng& rng);
// Always the same id for the same parts: for things that must not be made twice.
Uuid derive_uuid(Instant at, std::string_view parts);
std::string to_string(Uuid id);
// 36 characters with hyphens, either case; nullopt for anything else.
std::optional<Uuid> parse_uuid(std::string_view text);

}  // namespace mc

template <>
struct std::hash<mc::Uuid> {
  std::size_t operator()(const mc::Uuid& id) const noexcept {
    return static_cast<std::size_t>(id.high * 0x9e3779b97f4a7c15ULL ^ id.low);
  }
};
