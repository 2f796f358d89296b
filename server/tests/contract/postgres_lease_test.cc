// Which of several servers leads, and what one that no longer does can still do: nothing.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "db/postgres/lease.h"
#include "tests/contract/postgres_server.h"

namespace mc::db::contract {
namespace {

constexpr Millis kLongMax{60'000};

class PostgresLease : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::missing().empty()) GTEST_SKIP() << PostgresServer::missing();
    database.emplace();
    settings = database->settings();
    ASSERT_TRUE(open_postgres_store(settings).ok());  // the schema
  }
  std::unique_ptr<Lease> lease(const std::string& name, Millis time = Millis(60'000)) {
    auto opened = Lease::open(settings, {.name = name, .address = name + ":1", .time = time});
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return std::move(*opened);
  }
  Status write(const Leadership& held, const std::string& key) {
    PostgresSettings fenced = settings;
    fenced.epoch = held.epoch;
    fenced.holder = held.holder;
    const auto store = open_postgres_store(fenced);
    Batch batch;
    batch.records.push_back({"k", key, "{}", std::nullopt});
    return (*store)->commit(batch);
  }

  std::optional<TempDatabase> database;
  PostgresSettings settings;
};

TEST_F(PostgresLease, IsOneServersAtATime) {
  const auto first = lease("a"), second = lease("b");
  const auto taken = first->claim();
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  EXPECT_TRUE(taken->mine);
  EXPECT_EQ(taken->epoch, 1);
  const auto refused = second->claim();
  ASSERT_TRUE(refused.ok());
  EXPECT_FALSE(refused->mine);
  EXPECT_EQ(refused->name, "a");
  EXPECT_EQ(refused->address, "a:1");
  EXPECT_EQ(first->claim()->epoch, 1);  // renewed
}

TEST_F(PostgresLease, PassesOnWhenItIsGivenBack) {
  const auto first = lease("a"), second = lease("b");
  ASSERT_TRUE(first->claim()->mine);
  EXPECT_TRUE(second->release().ok());  // not its own: nothing happens
  EXPECT_TRUE(first->claim()->mine);
  EXPECT_TRUE(first->release().ok());
  const auto taken = second->claim();
  EXPECT_TRUE(taken->mine);
  EXPECT_EQ(taken->epoch, 2);
  EXPECT_EQ(first->claim()->address, "b:1");
}

TEST_F(PostgresLease, WhoWaitsIsToldWhenItIsGivenBack) {
  const auto first = lease("a"), second = lease("b");
  ASSERT_TRUE(first->claim()->mine);
  ASSERT_FALSE(second->claim()->mine);
  ASSERT_TRUE(first->release().ok());
  const auto began = std::chrono::steady_clock::now();
  second->wait(began + kLongMax);
  EXPECT_LT(std::chrono::steady_clock::now(), began + kLongMax);
  EXPECT_TRUE(second->claim()->mine);
  second->wake();
  second->wait(began + kLongMax);
  second->wait(began + kLongMax);
  EXPECT_LT(std::chrono::steady_clock::now(), began + kLongMax);
}

// Claims the lease for a minute, says so, and does nothing more until it is killed.
[[noreturn]] void lead_until_killed(const PostgresSettings& settings, int said) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto lease = Lease::open(settings, {.name = "a", .address = "a:1", .time = kLongMax});
  const bool leads = lease.ok() && (*lease)->claim().ok();
  (void)!::write(said, leads ? "y" : "n", 1);
  for (;;) ::pause();
}

TEST_F(PostgresLease, OfAProcessThatEndedHereItIsTakenAtOnce) {
  const auto waiting = lease("b");
  int said[2];
  ASSERT_EQ(::pipe(said), 0);
  const pid_t leader = ::fork();
  if (leader == 0) lead_until_killed(settings, said[1]);
  char leads = '?';
  ASSERT_EQ(::read(said[0], &leads, 1), 1);
  EXPECT_EQ(leads, 'y');
  EXPECT_EQ(waiting->claim()->name, "a");
  ::kill(leader, SIGSTOP);
  EXPECT_FALSE(waiting->claim()->mine);  // who stands still may wake
  ::kill(leader, SIGKILL);
  const auto began = std::chrono::steady_clock::now();
  waiting->wait(began + kLongMax);
  EXPECT_LT(std::chrono::steady_clock::now(), began + kLongMax);
  EXPECT_EQ(waiting->claim()->epoch, 2);
  // Nothing more is to be heard of the dead, but that its lease was given back.
  const auto later = std::chrono::steady_clock::now() + Millis(50);
  int woken = 0;
  for (; std::chrono::steady_clock::now() < later; ++woken) waiting->wait(later);
  EXPECT_LE(woken, 2);
  EXPECT_TRUE(waiting->claim()->mine);
  ::waitpid(leader, nullptr, 0);
  ::close(said[0]);
  ::close(said[1]);
}

TEST_F(PostgresLease, AServerThatStartsAgainFindsItsEarlierLifeDead) {
  const pid_t earlier = ::fork();
  if (earlier == 0) {
    auto lease = Lease::open(settings, {.name = "a", .address = "a:1", .time = kLongMax});
    ::_exit(lease.ok() && (*lease)->claim().ok() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(earlier, &status, 0), earlier);
  EXPECT_EQ(status, 0);
  const auto taken = lease("a")->claim();
  EXPECT_TRUE(taken->mine);
  EXPECT_EQ(taken->epoch, 2);
}

TEST_F(PostgresLease, ASessionIsOnesOwnUnlessAPoolLendsIt) {
  EXPECT_TRUE((*pg::Connection::open(settings))->owns_session());
  if (!PgBouncer::missing().empty()) GTEST_SKIP() << PgBouncer::missing();
  settings.url = PgBouncer::shared().url(database->name());
  EXPECT_FALSE((*pg::Connection::open(settings))->owns_session());
  const auto first = lease("a"), second = lease("b");
  ASSERT_TRUE(first->claim()->mine);
  ASSERT_TRUE(first->release().ok());
  EXPECT_TRUE(second->claim()->mine);
}

TEST_F(PostgresLease, LapsesByTheDatabasesClock) {
  const auto first = lease("a", Millis(1)), second = lease("b");
  ASSERT_TRUE(first->claim()->mine);
  Result<Leadership> taken = second->claim();
  while (taken.ok() && !taken->mine) taken = second->claim();
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(taken->epoch, 2);
}

TEST_F(PostgresLease, WhatNobodyTookIsStillTheOldLeaders) {
  const auto only = lease("a", Millis(1));
  for (int i = 0; i < 3; ++i) {
    const auto again = only->claim();
    EXPECT_TRUE(again->mine);
    EXPECT_EQ(again->epoch, 1);
  }
}

TEST_F(PostgresLease, AServerOfAnEarlierEpochWritesNothing) {
  const auto first = lease("a"), second = lease("b");
  const Leadership old = *first->claim();
  EXPECT_TRUE(write(old, "x").ok());
  ASSERT_TRUE(first->release().ok());
  ASSERT_TRUE(second->claim()->mine);
  const Status late = write(old, "y");
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, Code::store_failed);
  EXPECT_TRUE(write(*second->claim(), "z").ok());
  const auto store = open_postgres_store(settings);
  EXPECT_TRUE((*store)->get_record("k", "x")->has_value());
  EXPECT_FALSE((*store)->get_record("k", "y")->has_value());
  Leadership other = *second->claim();
  other.holder = old.holder;  // the number alone is not enough
  EXPECT_FALSE(write(other, "y").ok());
}

}  // namespace
}  // namespace mc::db::contract
