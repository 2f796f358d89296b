#include "lang/cron.h"

#include <date/tz.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "base/text.h"

namespace mc::lang {
namespace {

Instant at(std::string_view text) {
  const auto instant = parse_rfc3339(text);
  EXPECT_TRUE(instant.has_value()) << text;
  return instant.value_or(Instant{});
}

std::string next(std::string_view cron, std::string_view zone, std::string_view after) {
  const auto parsed = Cron::parse(cron, zone);
  EXPECT_TRUE(parsed.ok()) << cron << ": " << (parsed.ok() ? "" : parsed.error().message);
  if (!parsed.ok()) return {};
  const auto fire = parsed->next(at(after));
  return fire ? to_rfc3339(*fire) : "never";
}

TEST(Cron, FiresWhenItsFieldsSay) {
  struct Case {
    const char *cron, *zone, *after, *fire;
  };
  const Case cases[] = {
      {"* * * * *", "UTC", "2026-11-23T19:01:35.250Z", "2026-11-23T19:02:00.000Z"},
      {"* * * * *", "UTC", "2026-11-23T19:02:00Z", "2026-11-23T19:03:00.000Z"},
      {"*/15 * * * *", "UTC", "2026-11-23T19:01:00Z", "2026-11-23T19:15:00.000Z"},
      {"5/20 * * * *", "UTC", "2026-11-23T19:06:00Z", "2026-11-23T19:25:00.000Z"},
      {"0 1-5/2 * * *", "UTC", "2026-11-23T03:00:00Z", "2026-11-23T05:00:00.000Z"},
      {"0 2 * * 1-5", "Europe/Berlin", "2026-11-20T12:00:00Z", "2026-11-23T01:00:00.000Z"},
      {"0 2 * * mon-FRI", "Europe/Berlin", "2026-11-20T12:00:00Z", "2026-11-23T01:00:00.000Z"},
      {"0 0 * * 7", "UTC", "2026-11-23T00:00:00Z", "2026-11-29T00:00:00.000Z"},
      {"0 0 * * 0", "UTC", "2026-11-23T00:00:00Z", "2026-11-29T00:00:00.000Z"},
      {"0 0 * * 5-7", "UTC", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00.000Z"},
      {"0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"},
      {"0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", "never"},
      {"0 0 31 jan,DEC *", "UTC", "2026-02-01T00:00:00Z", "2026-12-31T00:00:00.000Z"},
      // Both days restricted: either.
      {"0 0 13 * 5", "UTC", "2026-11-23T00:00:00Z", "2026-11-27T00:00:00.000Z"},
      {"0 0 13 * 5", "UTC", "2026-12-12T00:00:00Z", "2026-12-13T00:00:00.000Z"},
      {"@hourly", "UTC", "2026-11-23T19:00:00Z", "2026-11-23T20:00:00.000Z"},
      {"@daily", "Asia/Tokyo", "2026-11-23T19:00:00Z", "2026-11-24T15:00:00.000Z"},
      {"@weekly", "UTC", "2026-11-23T19:00:00Z", "2026-11-29T00:00:00.000Z"},
      {"@monthly", "UTC", "2026-11-23T19:00:00Z", "2026-12-01T00:00:00.000Z"},
      {"@yearly", "UTC", "2026-11-23T19:00:00Z", "2027-01-01T00:00:00.000Z"},
      // Berlin, 29 March 2026: 02:00 to 03:00 does not exist; right after the gap, once.
      {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00.000Z"},
      {"30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00.000Z"},
      {"*/10 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00.000Z"},
      // 25 October 2026: 02:30 is there twice; once, the first.
      {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00.000Z"},
      {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00.000Z"},
      // Samoa left out the whole of 30 December 2011.
      {"0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-30T10:00:00.000Z"},
  };
  for (const Case& c : cases)
    EXPECT_EQ(next(c.cron, c.zone, c.after), c.fire) << c.cron << " " << c.zone << " " << c.after;
}

TEST(Cron, RefusesWhatItDoesNotKnow) {
  const char* bad[] = {"",
                       "* * * *",
                       "* * * * * *",
                       "60 * * * *",
                       "* 24 * * *",
                       "* * 0 * *",
                       "* * 32 * *",
                       "* * * 13 *",
                       "* * * * 8",
                       "*/0 * * * *",
                       "5-1 * * * *",
                       "a * * * *",
                       "1, * * * *",
                       "1--2 * * * *",
                       "@often",
                       "-1 * * * *",
                       "1-2-3 * * * *",
                       "* * L * *",
                       "* * 15W * *",
                       "* * * * 5#2",
                       "* * ? * *",
                       "*/a * * * *",
                       "99999999999 * * * *",
                       "* * * * fri-sun"};
  for (const char* text : bad) EXPECT_FALSE(Cron::parse(text, "UTC").ok()) << text;
  for (const char* text : {"* * L * *", "* * 15W * *", "* * * * 5#2", "* * ? * *"})
    EXPECT_NE(Cron::parse(text, "UTC").error().message.find("not known"), std::string::npos);
  EXPECT_FALSE(Cron::parse("* * * * *", "Mars/Olympus").ok());
  EXPECT_FALSE(Cron::parse("* * * * *", "").ok());
  EXPECT_FALSE(Cron::parse("* * * * *", "../../etc/passwd").ok());
}

TEST(Cron, IsBoundedFarAway) {
  const auto cron = Cron::parse("0 0 1 1 *", "Europe/Berlin");
  EXPECT_FALSE(cron->next({INT64_MAX}).has_value());
  EXPECT_FALSE(cron->next({INT64_MIN}).has_value());
  EXPECT_TRUE(cron->next({0}).has_value());
}

// The rule itself, minute by minute of absolute time: a local minute that matches fires at its
// first occurrence; local minutes that a gap skips fire at its end.
std::set<std::int64_t> brute_force(const date::time_zone& zone, Instant from, int minutes,
                                   const std::function<bool(date::local_seconds)>& matches) {
  std::set<std::int64_t> fires, seen;
  std::optional<date::local_seconds> before;
  for (int i = -24 * 60; i < minutes; ++i) {
    const date::sys_seconds now{std::chrono::seconds(from.ms / 1000 + i * 60LL)};
    const date::local_seconds local = zone.to_local(now);
    const auto step = std::chrono::minutes(1);
    bool fire = false;
    for (auto skipped = before.value_or(local) + step; before && skipped < local; skipped += step)
      fire |= matches(skipped);
    if (seen.insert(local.time_since_epoch().count()).second) fire |= matches(local);
    before = local;
    if (fire && i > 0) fires.insert(now.time_since_epoch().count() * 1000);
  }
  return fires;
}

TEST(Cron, AgreesWithCountingMinutesAroundChangesOfTheClock) {
  struct Case {
    const char *zone, *from;
  };
  const Case cases[] = {{"Europe/Berlin", "2026-03-28T20:00:00Z"},
                        {"Europe/Berlin", "2026-10-24T20:00:00Z"},
                        {"America/New_York", "2026-03-08T00:00:00Z"},
                        {"America/New_York", "2026-11-01T00:00:00Z"},
                        {"Australia/Lord_Howe", "2026-10-03T10:00:00Z"},
                        {"Australia/Lord_Howe", "2026-04-04T10:00:00Z"},
                        {"America/Havana", "2026-03-08T00:00:00Z"},
                        {"Asia/Kolkata", "2026-03-08T00:00:00Z"},
                        {"Pacific/Apia", "2011-12-29T20:00:00Z"}};
  const int steps[][2] = {{7, 1}, {30, 1}, {17, 2}, {59, 3}};
  for (const Case& c : cases) {
    const date::time_zone& zone = *date::locate_zone(c.zone);
    for (const auto& [minute, hour] : steps) {
      constexpr int kMinutes = 40 * 60;
      const Instant from = at(c.from);
      const auto expected = brute_force(zone, from, kMinutes, [&](date::local_seconds local) {
        const auto day = date::floor<date::days>(local);
        const auto of_day = std::chrono::duration_cast<std::chrono::minutes>(local - day);
        return of_day.count() % 60 % minute == 0 && of_day.count() / 60 % hour == 0;
      });
      const auto cron = Cron::parse(
          "*/" + std::to_string(minute) + " */" + std::to_string(hour) + " * * *", c.zone);
      std::set<std::int64_t> found;
      Instant after = from;
      while (const auto fire = cron->next(after)) {
        if (fire->ms >= from.ms + kMinutes * 60'000LL) break;
        EXPECT_GT(*fire, after);
        found.insert(fire->ms);
        after = *fire;
      }
      EXPECT_EQ(found, expected) << c.zone << " " << c.from << " */" << minute << " */" << hour;
    }
  }
}

}  // namespace
}  // namespace mc::lang
