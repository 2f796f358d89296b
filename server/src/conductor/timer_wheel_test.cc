// The wheel against what it stands for: an ordered set of moments.
#include "conductor/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "base/rng.h"

namespace mc::conductor {
namespace {
using Wheel = TimerWheel<int>;

std::vector<int> due_at(Wheel& wheel, std::int64_t now) {
  std::vector<int> keys;
  int key = 0;
  while (wheel.take_due({now}, key)) keys.push_back(key);
  return keys;
}

// A moment as far away as chance wants: all scales come up.
std::int64_t some_distance(Rng& rng) {
  return static_cast<std::int64_t>(rng.below(1ULL << (1 + rng.below(42))));
}

TEST(TimerWheel, GivesEachTimerAtItsTimeNeitherEarlierNorLater) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    Wheel wheel;
    std::map<int, std::unique_ptr<Wheel::Timer>> timers;
    std::map<int, std::int64_t> armed;
    std::int64_t now = 1'790'000'000'000 + some_distance(rng);
    for (int step = 0; step < 400; ++step) {
      const int key = static_cast<int>(rng.below(50));
      auto& timer = timers[key];
      switch (rng.below(6)) {
        case 0:
          timer.reset();
          armed.erase(key);
          break;
        case 1:
          if (timer) wheel.arm(*timer, {});
          armed.erase(key);
          break;
        case 2:
        case 3: {
          if (!timer) timer = std::make_unique<Wheel::Timer>(key);
          const std::int64_t due = std::max<std::int64_t>(1, now - 50 + some_distance(rng));
          wheel.arm(*timer, {due});
          armed[key] = due;
          break;
        }
        default: {
          std::int64_t until = now + some_distance(rng);
          // A caller sleeps until next() at most: then nothing may be late.
          if (rng.below(2) == 0 && wheel.next()) until = std::max(now, wheel.next().ms);
          now = until;
          std::vector<int> want;
          for (const auto& [k, due] : armed) {
            if (due <= now) want.push_back(k);
          }
          std::vector<int> got = due_at(wheel, now);
          for (const int k : got) armed.erase(k);
          std::sort(got.begin(), got.end());
          ASSERT_EQ(got, want) << "seed " << seed << " step " << step;
        }
      }
      std::int64_t first = 0;
      for (const auto& [k, due] : armed) first = first == 0 ? due : std::min(first, due);
      ASSERT_EQ(static_cast<bool>(wheel.next()), first != 0);
      if (first > now) ASSERT_LE(wheel.next().ms, first);
    }
  }
}

TEST(TimerWheel, GivesTimersInTheOrderOfTheirTimes) {
  Wheel wheel;
  Rng rng(1);
  std::vector<std::unique_ptr<Wheel::Timer>> timers;
  std::map<int, std::int64_t> due;
  for (int key = 0; key < 1000; ++key) {
    due[key] = 1 + static_cast<std::int64_t>(rng.below(1'000'000));
    timers.push_back(std::make_unique<Wheel::Timer>(key));
    wheel.arm(*timers.back(), {due[key]});
  }
  std::int64_t last = 0;
  for (const int key : due_at(wheel, 1'000'001)) {
    EXPECT_GE(due[key], last);
    last = due[key];
  }
  EXPECT_EQ(timers.size(), 1000U);
  EXPECT_FALSE(wheel.next());
}

TEST(TimerWheel, WakesFewTimesForATimerFarAway) {
  Wheel wheel;
  Wheel::Timer timer(1);
  const std::int64_t year = 365LL * 24 * 3600 * 1000;
  EXPECT_TRUE(due_at(wheel, 1'790'000'000'000).empty());
  wheel.arm(timer, {1'790'000'000'000 + year});
  int wakes = 0;
  while (due_at(wheel, wheel.next().ms).empty()) ASSERT_LT(++wakes, 8);
}

TEST(TimerWheel, FiresAtOnceWhatIsLate) {
  Wheel wheel;
  EXPECT_TRUE(due_at(wheel, 5000).empty());
  Wheel::Timer timer(7);
  wheel.arm(timer, {10});
  EXPECT_EQ(due_at(wheel, 5000), std::vector<int>{7});
  EXPECT_FALSE(timer.due());
}
}  // namespace
}  // namespace mc::conductor
