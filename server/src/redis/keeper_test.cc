// Two servers' limiters and their keepers on one real redis-server that each test starts.
#include "redis/keeper.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <charconv>

#include "api/rate_limiter.h"
#include "redis/server_rig_test.h"

namespace mc::redis {
namespace {
// An answer that comes too late is forgotten: only who waits for that has a short time.
constexpr KeeperTimes kTimes{.connect = Millis(20'000),
                             .call = Millis(20'000),
                             .settle_every = Millis(1),
                             .probe_every = Millis(50),
                             .first_pause = Millis(5),
                             .pause_max = Millis(50)};

class Book final : public RateBook {
 public:
  explicit Book(api::RateLimiter& limiter) : limiter_(limiter) {}
  RateTerms terms() const override {
    return {.per_second = limiter_.limit().per_second, .burst = limiter_.limit().burst};
  }
  std::vector<RateCharge> collect(std::size_t max) override {
    collected_ = limiter_.collect(max, system_clock().now());
    std::vector<RateCharge> out;
    for (const auto& each : collected_)
      out.push_back({.who = each.who, .taken = each.taken, .used = each.used});
    return out;
  }
  void settle(std::span<const std::optional<double>> used) override {
    for (std::size_t i = 0; i < used.size(); ++i)
      limiter_.settle(collected_[i], used[i], system_clock().now());
    settled_ += used.size();
  }
  std::size_t settled() const { return settled_; }

 private:
  api::RateLimiter& limiter_;
  std::vector<api::RateLimiter::Taken> collected_;
  std::atomic<std::size_t> settled_{0};
};

// A server as far as it concerns limits: ten at once, then one in 1000 seconds.
struct Server {
  explicit Server(const std::string& url, KeeperTimes times = kTimes)
      : keeper(*parse_url(url), "test", times) {
    limiter.share([this] { keeper.wake(); });
    keeper.share(&book);
  }
  ~Server() { keeper.share(nullptr); }

  bool take(const std::string& who = "ada") {
    return limiter.take(who, system_clock().now()).count() == 0;
  }
  bool is_up() const { return keeper.figures().up; }
  // Takes one and waits until Redis knows.
  bool take_and_settle() {
    const std::size_t before = book.settled();
    return take() && eventually([&] { return book.settled() > before; });
  }

  api::RateLimiter limiter{{.per_second = 0.001, .burst = 10}};
  Book book{limiter};
  Keeper keeper;
};

class KeeperTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!ServerRig::missing().empty()) GTEST_SKIP() << ServerRig::missing();
  }
};

TEST_F(KeeperTest, ALimitCountsOnceHoweverManyServers) {
  ServerRig rig;
  Server first(rig.url()), second(rig.url());
  ASSERT_TRUE(first.keeper.first_outcome() && second.keeper.first_outcome());
  int taken = 0;
  for (int i = 0; i < 10; ++i) {
    // Each learns of the other's with its own next one, so one too many may pass on each.
    taken += first.take_and_settle() ? 1 : 0;
    taken += second.take_and_settle() ? 1 : 0;
  }
  EXPECT_GE(taken, 10);
  EXPECT_LE(taken, 12);
  EXPECT_TRUE(first.take("another"));
}

TEST_F(KeeperTest, ASuccessorGoesOnWhereTheLastOneWas) {
  ServerRig rig;
  {
    Server first(rig.url());
    ASSERT_TRUE(first.keeper.first_outcome());
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(first.take_and_settle());
    EXPECT_FALSE(first.take());
  }
  Server second(rig.url());
  ASSERT_TRUE(second.keeper.first_outcome());
  EXPECT_TRUE(second.take_and_settle()) << "it learns with the first one";
  EXPECT_FALSE(second.take());
}

TEST_F(KeeperTest, WhatRedisHasLostItsServersTellItAgain) {
  ServerRig rig;
  Server first(rig.url());
  ASSERT_TRUE(first.keeper.first_outcome());
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(first.take_and_settle());
  rig.kill();
  EXPECT_TRUE(eventually([&] { return !first.is_up(); }));
  EXPECT_TRUE(first.take()) << "it counts alone";
  EXPECT_FALSE(first.take());
  rig.start();
  EXPECT_TRUE(eventually([&] { return first.is_up(); }));
  EXPECT_TRUE(eventually([&] { return rig.has("maestro:rate:ada"); }));
  EXPECT_FALSE(first.take()) << "a Redis that has forgotten fills no bucket";
  Server second(rig.url());
  ASSERT_TRUE(second.keeper.first_outcome());
  EXPECT_TRUE(second.take_and_settle());
  EXPECT_FALSE(second.take());
}

TEST_F(KeeperTest, WhileItStandsStillServersCountAlone) {
  ServerRig rig;
  KeeperTimes brief = kTimes;
  brief.call = Millis(200);
  Server server(rig.url(), brief);
  ASSERT_TRUE(eventually([&] { return server.is_up(); }));
  rig.signal(SIGSTOP);
  EXPECT_TRUE(
      eventually([&] { return server.keeper.state().find("in time") != std::string::npos; }));
  EXPECT_FALSE(server.is_up()) << server.keeper.state();
  EXPECT_TRUE(server.take());
  rig.signal(SIGCONT);
  EXPECT_TRUE(eventually([&] { return server.keeper.state() == "ok"; }));
}

TEST_F(KeeperTest, NobodyWaitsForOneThatStandsStill) {
  ServerRig rig;
  std::optional<Server> server(std::in_place, rig.url());
  ASSERT_TRUE(server->keeper.first_outcome());
  rig.signal(SIGSTOP);
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(server->take());
  server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, kTimes.call / 2);
}

TEST_F(KeeperTest, WhileItIsFullOrRefusesServersCountAlone) {
  ServerRig rig;
  Server server(rig.url());
  ASSERT_TRUE(server.keeper.first_outcome());
  const auto expect_away_then_back = [&](const std::string& why, const auto& begin,
                                         const auto& end) {
    SCOPED_TRACE(why);
    begin();
    EXPECT_TRUE(eventually([&] { return server.keeper.state().find(why) != std::string::npos; }));
    EXPECT_FALSE(server.is_up()) << server.keeper.state();
    EXPECT_TRUE(server.take());
    end();
    EXPECT_TRUE(eventually([&] { return server.is_up(); }));
    EXPECT_EQ(server.keeper.state(), "ok");
  };
  expect_away_then_back(
      "maxmemory", [&] { rig.ask({"CONFIG", "SET", "maxmemory", "1"}); },
      [&] { rig.ask({"CONFIG", "SET", "maxmemory", "0"}); });
  expect_away_then_back(
      "REDIS_URL",
      [&] {
        // Those that are signed in stay so until they are cut.
        rig.ask({"CONFIG", "SET", "requirepass", "another"});
        rig.ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
      },
      [&] { rig.ask({"CONFIG", "SET", "requirepass", ""}); });
  ServerRig primary;
  expect_away_then_back(
      "primary", [&] { rig.ask({"REPLICAOF", "127.0.0.1", parse_url(primary.url())->port}); },
      [&] { rig.ask({"REPLICAOF", "NO", "ONE"}); });
  // All three were charged in the end: none counted twice, none lost, but for one that may have
  // been under way when a connection was cut.
  Server second(rig.url());
  int left = 0;
  while (second.take_and_settle()) ++left;
  EXPECT_GE(left, 7);
  EXPECT_LE(left, 8);
}

TEST_F(KeeperTest, AfterARefusalTheConnectionIsMadeAnew) {
  ServerRig rig, primary;
  Server server(rig.url());
  ASSERT_TRUE(server.keeper.first_outcome());
  const auto connections = [&] {
    const std::string text = rig.ask({"INFO", "stats"}).text;
    const std::size_t at = text.find(':', text.find("total_connections_received"));
    int count = 0;
    std::from_chars(text.data() + at + 1, text.data() + text.size(), count);
    return count;
  };
  const int before = connections();
  rig.ask({"REPLICAOF", "127.0.0.1", parse_url(primary.url())->port});
  EXPECT_TRUE(eventually([&] { return connections() > before + 3; }))
      << "by then its name may be another server's";
}

TEST(Keeper, OneWithoutARedisSaysWhyAndGoesOnTrying) {
  Keeper keeper(*parse_url(kNowhere), "test", kTimes);
  const Status first = keeper.first_outcome();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, Code::unreachable);
  EXPECT_TRUE(keeper.state().starts_with("away: Redis at redis://127.0.0.1:"));
  EXPECT_TRUE(eventually([&] { return keeper.figures().failures > 3; }));
}

TEST(Keeper, OneThatPausesEndsAtOnce) {
  KeeperTimes rare = kTimes;
  rare.first_pause = rare.pause_max = Millis(3'600'000);
  std::optional<Keeper> keeper(std::in_place, *parse_url(kNowhere), "test", rare);
  EXPECT_FALSE(keeper->first_outcome());
  const auto began = std::chrono::steady_clock::now();
  keeper.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - began, Millis(20'000));
}

}  // namespace
}  // namespace mc::redis
