// Time as the core sees it: plain numbers, handed in from outside. Only Clock reads a clock.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mc {

using Millis = std::chrono::milliseconds;

// Milliseconds since 1970-01-01T00:00:00Z. 0 means "never" or "not yet" wherever a field says so.
struct Instant {
  std::int64_t ms = 0;
  auto operator<=>(const Instant&) const = default;
  explicit operator bool() const { return ms != 0; }
};
inline Instant operator+(Instant at, Millis by) { return {at.ms + by.count()}; }
inline Instant operator-(Instant at, Millis by) { return {at.ms - by.count()}; }
inline Millis operator-(Instant a, Instant b) { return Millis(a.ms - b.ms); }

// "2026-11-23T19:01:35.250Z".
std::string to_rfc3339(Instant at);
// Takes RFC 3339 with any offset and up to 9 fraction digits (cut to ms); nullopt for anything
// else.
std::optional<Instant> parse_rfc3339(std::string_view text);

// The only door to the machine's clocks.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time, made never to go back within this process.
  virtual Instant now() = 0;
};
Clock& system_clock();

}  // namespace mc
