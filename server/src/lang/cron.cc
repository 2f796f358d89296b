#include "lang/cron.h"

#include <date/tz.h>

#include <array>
#include <bit>
#include <charconv>

#include <fmt/format.h>

#include "base/text.h"

namespace mc::lang {
namespace {
constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kDays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  int min;
  int max;
};
constexpr Field kFields[] = {{"minute", 0, 59},
                             {"hour", 0, 23},
                             {"day of month", 1, 31},
                             {"month", 1, 12},
                             {"day of week", 0, 7}};

Error wrong(const Field& field, const std::string& part) {
  if (part == "L" || part == "LW" ||
      (part.find_first_of("?LW#") != std::string::npos &&
       part.find_first_of("0123456789?") != std::string::npos)) {
    return Error{
        Code::invalid_field,
        fmt::format("cron: `{}`: ?, L, W and # are not known here; use *, lists, ranges and "
                    "steps",
                    part),
        {}};
  }
  return Error{Code::invalid_field,
               fmt::format("cron: `{}` is not a {} ({} to {}, lists, ranges and steps)", part,
                           field.name, field.min, field.max),
               {}};
}

std::optional<int> number(const Field& field, std::string_view text) {
  const std::string lower = to_lower(text);
  if (field.max == 12) {
    for (std::size_t i = 0; i < kMonths.size(); ++i) {
      if (lower == kMonths.at(i)) return static_cast<int>(i) + 1;
    }
  }
  if (field.max == 7) {
    for (std::size_t i = 0; i < kDays.size(); ++i) {
      if (lower == kDays.at(i)) return static_cast<int>(i);
    }
  }
  int value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool fine =
      !text.empty() && read.ec == std::errc{} && read.ptr == text.data() + text.size();
  return fine && value >= field.min && value <= field.max ? std::optional(value) : std::nullopt;
}

Result<std::uint64_t> read_field(const Field& field, const std::string& text) {
  std::uint64_t bits = 0;
  for (const std::string& part : split(text, ',')) {
    const std::size_t slash = part.find('/');
    const std::string range = part.substr(0, slash);
    int from = field.min, to = field.max, step = 1;
    if (slash != std::string::npos) {
      const std::string given = part.substr(slash + 1);
      const auto read = std::from_chars(given.data(), given.data() + given.size(), step);
      if (given.empty() || read.ec != std::errc{} || read.ptr != given.data() + given.size() ||
          step < 1 || step > 60)
        return wrong(field, part);
    }
    if (range != "*") {
      const std::size_t dash = range.find('-');
      const auto first = number(field, std::string_view(range).substr(0, dash));
      const auto last = dash == std::string::npos
                            ? first
                            : number(field, std::string_view(range).substr(dash + 1));
      if (!first || !last || *last < *first) return wrong(field, part);
      from = *first;
      // 5/10 means from 5 on, in steps.
      to = dash == std::string::npos && slash != std::string::npos ? field.max : *last;
    }
    for (int value = from; value <= to; value += step)
      bits |= std::uint64_t{1} << (field.max == 7 ? value % 7 : value);
  }
  return bits;
}

std::string expand_name(std::string_view text) {
  if (text == "@hourly") return "0 * * * *";
  if (text == "@daily" || text == "@midnight") return "0 0 * * *";
  if (text == "@weekly") return "0 0 * * 0";
  if (text == "@monthly") return "0 0 1 * *";
  if (text == "@yearly" || text == "@annually") return "0 0 1 1 *";
  return std::string(text);
}

const date::time_zone* find_zone(const std::string& name) {
  try {
    return date::locate_zone(name);
  } catch (const std::exception&) {
    return nullptr;
  }
}

bool has(std::uint64_t bits, unsigned bit) { return (bits >> bit & 1) != 0; }

// Skipped by a gap: right after it. Repeated: the first.
Instant instant_of(const date::time_zone& zone, date::local_seconds at) {
  const auto info = zone.get_info(at);
  const auto sys = info.result == date::local_info::nonexistent
                       ? info.first.end
                       : date::sys_seconds(at.time_since_epoch()) - info.first.offset;
  return {std::chrono::duration_cast<Millis>(sys.time_since_epoch()).count()};
}
}  // namespace

Result<Cron> Cron::parse(std::string_view text, std::string_view timezone) {
  std::vector<std::string> parts;
  for (const std::string& part : split(expand_name(trim(text)), ' ')) {
    if (!part.empty()) parts.push_back(part);
  }
  if (parts.size() != 5) {
    return Error{
        Code::invalid_field,
        "cron: five fields are wanted (minute hour day month weekday), or a name such as @daily",
        {}};
  }
  std::array<std::uint64_t, 5> bits{};
  for (std::size_t i = 0; i < 5; ++i) {
    const Result<std::uint64_t> read = read_field(kFields[i], parts[i]);
    if (!read) return read.error();
    bits.at(i) = *read;
  }
  Cron cron;
  cron.minutes_ = bits[0];
  cron.hours_ = static_cast<std::uint32_t>(bits[1]);
  cron.days_ = static_cast<std::uint32_t>(bits[2]);
  cron.months_ = static_cast<std::uint16_t>(bits[3]);
  cron.weekdays_ = static_cast<std::uint8_t>(bits[4]);
  cron.day_restricted_ = !parts[2].starts_with('*');
  cron.weekday_restricted_ = !parts[4].starts_with('*');
  cron.timezone_ = std::string(timezone);
  if (find_zone(cron.timezone_) == nullptr) {
    return Error{Code::invalid_field,
                 "there is no time zone `" + cron.timezone_ + "`; names are like Europe/Berlin",
                 {}};
  }
  return cron;
}

bool Cron::fires_on(std::chrono::days since_epoch) const {
  const date::local_days day{date::days(since_epoch.count())};
  const date::year_month_day ymd{day};
  if (!has(months_, static_cast<unsigned>(ymd.month()))) return false;
  const bool by_day = has(days_, static_cast<unsigned>(ymd.day()));
  const bool by_weekday = has(weekdays_, date::weekday(day).c_encoding());
  return day_restricted_ && weekday_restricted_ ? by_day || by_weekday : by_day && by_weekday;
}

std::optional<Instant> Cron::next(Instant after) const {
  using namespace std::chrono;
  constexpr std::int64_t kMsMax = 200'000'000'000'000;  // the year 8307
  const date::time_zone* zone = find_zone(timezone_);
  if (zone == nullptr || after.ms > kMsMax || after.ms < -kMsMax) return std::nullopt;
  const date::sys_time<milliseconds> start{milliseconds(after.ms)};
  const auto local = date::floor<minutes>(zone->to_local(date::floor<seconds>(start)));
  const date::local_days first = date::floor<date::days>(local);
  constexpr int kDaysMax = 366 * 8 + 2;
  // A local time stands for its first occurrence, or for the end of the gap it is in. That never
  // goes back as local times go on, and a fire after `after` has a local time not before that of
  // `after`: so the first that fits is the answer.
  for (int i = 0; i < kDaysMax; ++i) {
    const date::local_days day = first + date::days(i);
    if (!fires_on(std::chrono::days(day.time_since_epoch().count()))) continue;
    const auto from = i == 0 ? (local - first) : minutes(0);
    for (int minute = static_cast<int>(from.count()); minute < 24 * 60; ++minute) {
      if (!has(hours_, static_cast<unsigned>(minute / 60))) {
        minute += 59 - minute % 60;
        continue;
      }
      if (!has(minutes_, static_cast<unsigned>(minute % 60))) continue;
      const Instant fire = instant_of(*zone, date::local_seconds(day) + minutes(minute));
      if (fire > after) return fire;
    }
  }
  return std::nullopt;
}
}  // namespace mc::lang
