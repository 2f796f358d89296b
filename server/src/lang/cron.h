// Five-field cron in a named time zone. Fields, ranges, steps, lists, names (mon, jan), @hourly
// @daily @weekly @monthly @yearly; day-of-month and day-of-week both restricted: either matches.
// Daylight saving: a time that is skipped fires once right after the gap, one that is repeated
// fires once, at its first occurrence.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace mc::lang {

class Cron {
 public:
  // Errors: invalid_field, naming the field and what would be right.
  static Result<Cron> parse(std::string_view text, std::string_view timezone);
  // The first fire strictly after `after`; nullopt when there is none within eight years (Feb 30).
  std::optional<Instant> next(Instant after) const;

 private:
  bool fires_on(std::chrono::days since_epoch) const;  // of the local calendar

  std::uint64_t minutes_ = 0;
  std::uint32_t hours_ = 0;
  std::uint32_t days_ = 0;
  std::uint16_t months_ = 0;
  std::uint8_t weekdays_ = 0;
  bool day_restricted_ = false;
  bool weekday_restricted_ = false;
  std::string timezone_;
};

}  // namespace mc::lang
