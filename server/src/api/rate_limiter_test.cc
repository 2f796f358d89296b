#include "api/rate_limiter.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace mc::api {
namespace {

TEST(RateLimiter, GivesTheBurstThenTheRate) {
  RateLimiter limiter({.per_second = 10, .burst = 3});
  const Instant begin{1'000'000};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter.take("a", begin).count(), 0);
  EXPECT_EQ(limiter.take("a", begin).count(), 100);
  EXPECT_EQ(limiter.take("b", begin).count(), 0) << "another one's bucket";
  EXPECT_GT(limiter.take("a", begin + Millis(98)).count(), 0);
  EXPECT_EQ(limiter.take("a", begin + Millis(101)).count(), 0);
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += limiter.take("a", begin + Millis(100'000)).count() == 0;
  EXPECT_EQ(taken, 3);
}

TEST(RateLimiter, WhatIsTakenIsCollectedOnceAndWakesWhenThereWasNothing) {
  RateLimiter limiter({.per_second = 10, .burst = 5});
  const Instant begin{1'000'000};
  limiter.take("before", begin);
  EXPECT_TRUE(limiter.collect(9, begin).empty()) << "nobody shares it yet";
  int woken = 0;
  limiter.share([&] { ++woken; });
  for (int i = 0; i < 7; ++i) limiter.take("a", begin);
  limiter.take("b", begin);
  EXPECT_EQ(woken, 1);
  const auto first = limiter.collect(1, begin);
  const auto second = limiter.collect(9, begin);
  ASSERT_EQ(first.size() + second.size(), 2U);
  const auto& a = first[0].who == "a" ? first[0] : second[0];
  EXPECT_EQ(a.taken, 5) << "those that were refused took nothing";
  EXPECT_EQ(a.used, 5);
  EXPECT_TRUE(limiter.collect(9, begin).empty());
  limiter.take("b", begin);
  EXPECT_EQ(woken, 2);
  EXPECT_TRUE(limiter.collect(9, begin + Millis(10'000)).empty()) << "paid back: nothing to tell";
}

TEST(RateLimiter, ABucketIsNeverFullerThanAllServersTogetherSay) {
  RateLimiter limiter({.per_second = 10, .burst = 5});
  limiter.share([] {});
  Instant now{1'000'000};
  limiter.take("a", now);
  auto told = limiter.collect(9, now);
  limiter.take("a", now);
  limiter.settle(told.at(0), 3, now);  // two by another server
  EXPECT_EQ(limiter.take("a", now).count(), 0) << "5 - 3 - the one since";
  EXPECT_GT(limiter.take("a", now).count(), 0);
  told = limiter.collect(9, now);
  EXPECT_EQ(told.at(0).taken, 2);
  limiter.settle(told.at(0), std::nullopt, now);
  now = now + Millis(100);
  EXPECT_EQ(limiter.take("a", now).count(), 0);
  told = limiter.collect(9, now);
  EXPECT_EQ(told.at(0).taken, 3) << "what was not charged is collected again";
  limiter.settle(told.at(0), 1, now);
  EXPECT_GT(limiter.take("a", now).count(), 0) << "a Redis that has forgotten fills no bucket";
  limiter.settle(told.at(0), 8, now);
  EXPECT_EQ(limiter.take("a", now).count(), 400) << "it owes three, and wants one";
  limiter.settle(told.at(0), 1'000, now);
  EXPECT_EQ(limiter.take("a", now).count(), 600) << "a debt is one burst at most";
}

TEST(RateLimiter, AClockThatIsSetBackTakesNothingAway) {
  RateLimiter limiter({.per_second = 10, .burst = 5});
  limiter.share([] {});
  const Instant begin{1'000'000};
  limiter.take("a", begin);
  const auto told = limiter.collect(9, begin);
  const Instant back = begin - Millis(600'000);
  limiter.settle(told.at(0), 1, back);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(limiter.take("a", back).count(), 0);
  EXPECT_EQ(limiter.take("a", back).count(), 100);
}

// Two servers, answers that take their time, a clock: whatever the order, what passes is bounded.
TEST(RateLimiter, TwoServersLetThroughTheLimitAndWhatIsUnderWay) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const RateLimit limit{.per_second = 20, .burst = 10};
    RateLimiter servers[2] = {RateLimiter(limit), RateLimiter(limit)};
    for (RateLimiter& server : servers) server.share([] {});
    const Instant begin{1'000'000};
    Instant now = begin;
    double shared = 0;  // used, as Redis has it
    Instant shared_at = now;
    int taken = 0;
    for (int step = 0; step < 2'000; ++step) {
      RateLimiter& server = servers[rng.below(2)];
      taken += server.take("a", now).count() == 0 ? 1 : 0;
      if (rng.chance(0.5)) continue;
      for (const auto& charge : server.collect(9, now)) {
        now = now + Millis(static_cast<std::int64_t>(rng.below(5)));
        const double paid = static_cast<double>((now - shared_at).count()) * 0.02;
        shared = std::min(std::max(0.0, shared - paid) + charge.taken, 20.0);
        shared_at = now;
        now = now + Millis(static_cast<std::int64_t>(rng.below(5)));
        server.settle(charge, shared, now);
      }
    }
    const double allowed = 10 + static_cast<double>((now - begin).count()) * 0.02;
    EXPECT_LE(taken, allowed + 12);
    EXPECT_GE(taken, allowed * 0.9 - 10);
  }
}

}  // namespace
}  // namespace mc::api
