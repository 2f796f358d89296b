#include "base/time.h"

#include <fmt/format.h>

#include <atomic>

#include "base/fault.h"

namespace mc {
namespace {
using Days = std::chrono::sys_days;

// Digits [from, from+count) of `text` as a number, or nullopt.
std::optional<int> digits(std::string_view text, std::size_t from, std::size_t count) {
  if (from + count > text.size()) return std::nullopt;
  int value = 0;
  for (char c : text.substr(from, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// "Z" or "+hh:mm" as minutes, or nullopt.
std::optional<int> offset_minutes(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = digits(text, 1, 2);
  const auto minutes = digits(text, 4, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const int total = *hours * 60 + *minutes;
  return text[0] == '-' ? -total : total;
}

class SystemClock final : public Clock {
 public:
  Instant now() override {
    auto wall =
        std::chrono::duration_cast<Millis>(std::chrono::system_clock::now().time_since_epoch());
#ifdef MC_FAULTS
    wall += Millis(fault_clock_offset());
#endif
    std::int64_t seen = last_ms_.load();
    while (seen < wall.count() && !last_ms_.compare_exchange_weak(seen, wall.count())) {}
    return {std::max(seen, static_cast<std::int64_t>(wall.count()))};
  }

 private:
  std::atomic<std::int64_t> last_ms_ = 0;
};
}  // namespace

std::string to_rfc3339(Instant at) {
  using namespace std::chrono;
  const sys_time<Millis> point{Millis(at.ms)};
  const auto day = floor<days>(point);
  const year_month_day date{day};
  const hh_mm_ss clock{point - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::optional<Instant> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':' ||
      (text[10] != 'T' && text[10] != 't' && text[10] != ' ')) {
    return std::nullopt;
  }
  const auto y = digits(text, 0, 4), mo = digits(text, 5, 2), d = digits(text, 8, 2);
  const auto h = digits(text, 11, 2), mi = digits(text, 14, 2), s = digits(text, 17, 2);
  if (!y || !mo || !d || !h || !mi || !s || *h > 23 || *mi > 59 || *s > 60) return std::nullopt;
  const year_month_day date{year(*y), month(static_cast<unsigned>(*mo)),
                            day(static_cast<unsigned>(*d))};
  if (!date.ok()) return std::nullopt;
  std::size_t at = 19;
  int fraction_ms = 0;
  if (text[at] == '.') {
    std::size_t end = at + 1;
    for (int weight = 100; end < text.size() && text[end] >= '0' && text[end] <= '9'; ++end) {
      fraction_ms += (text[end] - '0') * weight;
      weight /= 10;
    }
    if (end == at + 1 || end > at + 10) return std::nullopt;
    at = end;
  }
  const auto zone = offset_minutes(text.substr(at));
  if (!zone) return std::nullopt;
  const auto total = Days{date}.time_since_epoch() + hours(*h) + minutes(*mi - *zone) +
                     seconds(*s) + Millis(fraction_ms);
  return Instant{duration_cast<Millis>(total).count()};
}

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}
}  // namespace mc
