#include "base/uuid.h"

#include <fmt/format.h>

namespace mc {
namespace {
// FNV-1a, 64 bit (http://www.isthe.com/chongo/tech/comp/fnv/): spreads ids, protects nothing.
std::uint64_t fnv1a(std::string_view text, std::uint64_t hash) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

Uuid shape(Instant at, std::uint64_t a, std::uint64_t b) {
  Uuid id;
  id.high = (static_cast<std::uint64_t>(at.ms) << 16) | 0x7000U | (a & 0x0fffU);
  id.low = (b & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
  return id;
}
}  // namespace

Uuid make_uuid(Instant now, Rng& rng) {
  const std::uint64_t a = rng.next();
  return shape(now, a, rng.next());
}

Uuid derive_uuid(Instant at, std::string_view parts) {
  const std::uint64_t a = fnv1a(parts, 0xcbf29ce484222325ULL);
  Rng mix(a ^ 0x9e3779b97f4a7c15ULL);
  return shape(at, mix.next(), fnv1a(parts, mix.next()));
}

std::string to_string(Uuid id) {
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", id.high >> 32, (id.high >> 16) & 0xffff,
                     id.high & 0xffff, id.low >> 48, id.low & 0xffffffffffffULL);
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  Uuid id;
  int nibbles = 0;
  for (std::size_t i = 0; i < 36; ++i) {
    const char c = text[i];
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (c != '-') return std::nullopt;
      continue;
    }
    std::uint64_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint64_t>(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint64_t>(c - 'A') + 10;
    } else {
      return std::nullopt;
    }
    std::uint64_t& half = nibbles++ < 16 ? id.high : id.low;
    half = half << 4 | digit;
  }
  return id;
}
}  // namespace mc
