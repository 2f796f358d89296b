// Which of several servers leads a shard, and what one that no longer does can still do: nothing.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/contract/leases_rig.h"

namespace mc::db::contract {
namespace {

using PostgresLeases = LeasesRig;

TEST_F(PostgresLeases, AreOneServersAtATime) {
  const auto first = leases("a"), second = leases("b");
  const Cluster taken = claim(*first, kAll);
  EXPECT_EQ(own(taken), kAll);
  EXPECT_EQ(taken.shards[3].epoch, 1);
  EXPECT_EQ(taken.shards[3].address, "a:1");
  const Cluster refused = claim(*second, kAll);
  EXPECT_TRUE(own(refused).empty());
  EXPECT_EQ(refused.shards[3].name, "a");
  EXPECT_EQ(refused.shards[3].address, "a:1");
  EXPECT_EQ(claim(*first).shards[3].epoch, 1);  // renewed
  EXPECT_EQ(own(claim(*first)), kAll);
}

TEST_F(PostgresLeases, AreTakenOneByOneEachWithItsEpoch) {
  const auto first = leases("a"), second = leases("b");
  EXPECT_EQ(own(claim(*first, {1, 2})), (std::set{1, 2}));
  EXPECT_EQ(own(claim(*second, {2, 3})), (std::set{3}));
  ASSERT_TRUE(first->give({2, 3}).ok());  // 3 is not its own
  const Cluster now = claim(*second, {2});
  EXPECT_EQ(own(now), (std::set{2, 3}));
  EXPECT_EQ(now.shards[0].epoch, 0);
  EXPECT_EQ(now.shards[1].epoch, 1);
  EXPECT_EQ(now.shards[2].epoch, 2);
  EXPECT_EQ(now.shards[3].epoch, 1);
  EXPECT_EQ(own(claim(*first)), std::set{1});
}

TEST_F(PostgresLeases, NameTheMembersThatLive) {
  const auto first = leases("a"), second = leases("b");
  claim(*first);
  const Cluster both = claim(*second);
  ASSERT_EQ(both.members.size(), 2U);
  EXPECT_EQ(both.members[0], first->self());
  EXPECT_EQ(both.members[1], second->self());
  const auto brief = leases("c", Millis(1));
  claim(*brief);
  while (claim(*first).members.size() == 3) {}
  EXPECT_EQ(claim(*first).members.size(), 2U);
  // What is long over is removed, by those whose time is as short.
  const auto cleaner = leases("d", Millis(1));
  while (database->run("SELECT count(*) FROM members WHERE name = 'c'") != "0") claim(*cleaner);
}

TEST_F(PostgresLeases, OfOneThatRetiresAreKeptAndItIsNoMember) {
  const auto first = leases("a"), second = leases("b");
  claim(*first, kAll);
  first->retire();
  EXPECT_EQ(own(claim(*first)), kAll);
  const Cluster seen = claim(*second);
  ASSERT_EQ(seen.members.size(), 1U);
  EXPECT_EQ(seen.members[0].name, "b");
  EXPECT_EQ(plan(claim(*first), first->self().holder).give, kAll);
}

TEST_F(PostgresLeases, AreNotTakenByOneThatRetires) {
  const auto first = leases("a");
  EXPECT_EQ(own(claim(*first, {1})), std::set{1});
  first->retire();
  EXPECT_EQ(own(claim(*first, kAll)), std::set{1});
}

TEST_F(PostgresLeases, PassOnWhenOneLeavesAndWhoWaitsIsTold) {
  const auto first = leases("a"), second = leases("b");
  claim(*first, kAll);
  claim(*second);
  EXPECT_TRUE(second->give(kAll).ok());  // not its own: nothing happens
  EXPECT_EQ(own(claim(*first)), kAll);
  hear_all(*second);
  ASSERT_TRUE(first->leave().ok());
  EXPECT_TRUE(second->wait(soon()).leases);
  const Cluster left = claim(*second);
  EXPECT_EQ(plan(left, second->self().holder).take, kAll);
  EXPECT_EQ(left.members.size(), 1U);
  const Cluster taken = claim(*second, kAll);
  EXPECT_EQ(own(taken), kAll);
  EXPECT_EQ(taken.shards[7].epoch, 2);
}

TEST_F(PostgresLeases, WhoWaitsIsToldWhatTheOthersSay) {
  const auto first = leases("a"), second = leases("b");
  claim(*first, {0});
  claim(*second);
  hear_all(*second);
  EXPECT_TRUE(second->hears());
  ASSERT_TRUE(first->tell_ready(5).ok());
  ASSERT_TRUE(first->tell_ready(7).ok());
  std::set<int> ready;
  while (ready.size() < 2) ready.merge(second->wait(soon()).ready);
  EXPECT_EQ(ready, (std::set{5, 7}));
  database->run("NOTIFY maestro_tokens");
  EXPECT_TRUE(second->wait(soon()).tokens);
  claim(*first, {1});
  EXPECT_TRUE(second->wait(soon()).leases);  // somebody leads what nobody led
  second->wake();
  EXPECT_FALSE(second->wait(soon()).any());
  // One's own words are not news.
  ASSERT_TRUE(second->tell_ready(5).ok());
  EXPECT_FALSE(second->wait(std::chrono::steady_clock::now()).any());
}

TEST_F(PostgresLeases, WhatMayHaveBeenSaidWhileTheConnectionWasGoneCountsAsNews) {
  const auto first = leases("a");
  claim(*first, kAll);
  hear_all(*first);
  database->run(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
      "datname = current_database()");
  EXPECT_TRUE(first->wait(soon()).leases);
  (void)first->claim({});  // it may be the one that finds the connection broken
  EXPECT_EQ(own(claim(*first)), kAll);
  const Leases::News missed = first->wait(soon());
  EXPECT_TRUE(missed.tokens);
  EXPECT_EQ(missed.ready, kAll);
}

// As the server has it when only half of a commit has arrived: its transaction holds the lease.
class HalfSent {
 public:
  explicit HalfSent(PostgresSettings settings) {
    settings.statement_timeout = kLongMax;  // so long it may idle
    connection_ = std::move(*pg::Connection::open(settings));
    const pg::Statement guard{"SELECT 1 FROM shards WHERE shard = $1 FOR KEY SHARE",
                              pg::Params().add(std::int64_t{settings.shard})};
    MC_CHECK(bool(connection_->begin(pg::Kind::write, {&guard, 1})));
  }
  bool lives() {
    const pg::Statement more{"SELECT 1", {}};
    return bool(connection_->run({&more, 1}));
  }

 private:
  std::unique_ptr<pg::Connection> connection_;
};

// Within a time in which nothing else ends what is half sent.
std::set<int> taken_soon(Leases& leases, const std::set<int>& wanted) {
  const auto until = std::chrono::steady_clock::now() + kLongMax / 3;
  for (;;) {
    const auto found = leases.claim(wanted);
    if (!found.ok()) ADD_FAILURE() << found.error().message;
    if (!found.ok() || own(*found) == wanted || std::chrono::steady_clock::now() > until)
      return found.ok() ? own(*found) : std::set<int>();
    leases.wait(until);
  }
}

TEST_F(PostgresLeases, ThatLapsedAreTakenFromACommitOfWhichOnlyHalfArrived) {
  const auto first = leases("a", Millis(1)), second = leases("b");
  const ShardLease lapses = claim(*first, {3}).shards[3];
  HalfSent half(under(lapses));
  // In another schema of the database there may be a lease of the same number and epoch.
  database->run("CREATE SCHEMA other");
  PostgresSettings elsewhere = under(lapses);
  elsewhere.url += "&options=-csearch_path%3Dother";
  elsewhere.epoch = 0;
  ASSERT_TRUE(open_postgres_store(elsewhere).ok());
  elsewhere.epoch = lapses.epoch;
  HalfSent bystander(elsewhere);
  EXPECT_EQ(taken_soon(*second, {3}), std::set{3});
  EXPECT_FALSE(half.lives());
  EXPECT_TRUE(bystander.lives());
  EXPECT_EQ(write(lapses, "x"), "store_failed");
  EXPECT_EQ(write(claim(*second).shards[3], "x"), "");
}

TEST_F(PostgresLeases, ThatAreRenewedAreNotTakenFromACommitThatTakesLong) {
  const auto first = leases("a"), second = leases("b");
  HalfSent half(under(claim(*first, {3}).shards[3]));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(own(claim(*second, {3})).empty());
    EXPECT_EQ(own(claim(*first)), std::set{3});
  }
  EXPECT_TRUE(half.lives());
}

TEST_F(PostgresLeases, BehindAPoolThatLapsedAreTakenFromACommitOfWhichOnlyHalfArrived) {
  if (!PgBouncer::missing().empty()) GTEST_SKIP() << PgBouncer::missing();
  settings.url = PgBouncer::shared().url(database->name());
  const auto first = leases("a", Millis(1)), second = leases("b");
  HalfSent half(under(claim(*first, {3}).shards[3]));
  EXPECT_EQ(taken_soon(*second, {3}), std::set{3});
  EXPECT_FALSE(half.lives());
}

// Claims all for a minute, says so, and does nothing more until it is killed.
[[noreturn]] void lead_until_killed(const PostgresSettings& settings, int said) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto leases = Leases::open(settings, {.name = "a", .address = "a:1", .time = kLongMax});
  const bool leads = leases.ok() && (*leases)->claim(kAll).ok();
  (void)!::write(said, leads ? "y" : "n", 1);
  for (;;) ::pause();
}

TEST_F(PostgresLeases, OfAProcessThatEndedHereAreTakenAtOnce) {
  const auto waiting = leases("b");
  int said[2];
  ASSERT_EQ(::pipe(said), 0);
  const pid_t leader = ::fork();
  if (leader == 0) lead_until_killed(settings, said[1]);
  char leads = '?';
  ASSERT_EQ(::read(said[0], &leads, 1), 1);
  EXPECT_EQ(leads, 'y');
  EXPECT_EQ(claim(*waiting).shards[0].name, "a");
  hear_all(*waiting);
  ::kill(leader, SIGSTOP);
  EXPECT_TRUE(own(claim(*waiting, kAll)).empty());  // who stands still may wake
  ::kill(leader, SIGKILL);
  EXPECT_TRUE(waiting->wait(soon()).leases);
  const Cluster left = claim(*waiting);
  EXPECT_EQ(plan(left, waiting->self().holder).take, kAll);
  EXPECT_EQ(left.members.size(), 1U);
  // Its last word may be on its way into the database; then wait() ends for another attempt.
  while (own(claim(*waiting, kAll)) != kAll) waiting->wait(soon());
  EXPECT_EQ(claim(*waiting).shards[7].epoch, 2);
  // Nothing more is to be heard of the dead.
  hear_all(*waiting);
  EXPECT_FALSE(waiting->wait(std::chrono::steady_clock::now() + Millis(50)).any());
  ::waitpid(leader, nullptr, 0);
  ::close(said[0]);
  ::close(said[1]);
}

TEST_F(PostgresLeases, AServerThatStartsAgainFindsItsEarlierLifeDead) {
  const pid_t earlier = ::fork();
  if (earlier == 0) {
    auto first = Leases::open(settings, {.name = "a", .address = "a:1", .time = kLongMax});
    ::_exit(first.ok() && (*first)->claim(kAll).ok() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(earlier, &status, 0), earlier);
  EXPECT_EQ(status, 0);
  const auto again = leases("a");
  const Cluster found = claim(*again, kAll);
  EXPECT_EQ(own(found), kAll);
  EXPECT_EQ(found.shards[0].epoch, 2);
  EXPECT_EQ(found.members.size(), 1U);
}

TEST_F(PostgresLeases, BehindAPoolPassOnAndNobodyIsTold) {
  EXPECT_TRUE((*pg::Connection::open(settings))->owns_session());
  if (!PgBouncer::missing().empty()) GTEST_SKIP() << PgBouncer::missing();
  settings.url = PgBouncer::shared().url(database->name());
  EXPECT_FALSE((*pg::Connection::open(settings))->owns_session());
  const auto first = leases("a"), second = leases("b");
  EXPECT_EQ(own(claim(*first, kAll)), kAll);
  EXPECT_TRUE(own(claim(*second, kAll)).empty());
  EXPECT_FALSE(second->hears());
  EXPECT_TRUE(first->give({1, 2}).ok());
  EXPECT_TRUE(first->tell_ready(1).ok());
  EXPECT_EQ(own(claim(*second, {1})), std::set{1});
  ASSERT_TRUE(first->leave().ok());
  EXPECT_EQ(own(claim(*second, kAll)), kAll);
}

TEST_F(PostgresLeases, LapseByTheDatabasesClock) {
  const auto first = leases("a", Millis(1)), second = leases("b");
  claim(*first, kAll);
  Cluster taken = claim(*second, kAll);
  while (own(taken) != kAll) taken = claim(*second, kAll);
  EXPECT_EQ(taken.shards[0].epoch, 2);
  EXPECT_TRUE(own(claim(*first)).empty());  // as of one that stood still
}

TEST_F(PostgresLeases, ThatNobodyTookAreStillTheOldLeaders) {
  const auto only = leases("a", Millis(1));
  claim(*only, kAll);
  for (int i = 0; i < 3; ++i) {
    const Cluster again = claim(*only);
    EXPECT_EQ(own(again), kAll);
    EXPECT_EQ(again.shards[0].epoch, 1);
  }
}

TEST_F(PostgresLeases, UnderAnEarlierEpochNothingIsWritten) {
  const auto first = leases("a"), second = leases("b");
  const ShardLease old = claim(*first, kAll).shards[3];
  EXPECT_EQ(write(old, "x"), "");
  ASSERT_TRUE(first->give({3}).ok());
  EXPECT_EQ(write(old, "y"), "store_failed");
  const ShardLease taken = claim(*second, {3}).shards[3];
  ASSERT_TRUE(taken.mine);
  EXPECT_EQ(write(old, "y"), "store_failed");
  EXPECT_EQ(write(claim(*first).shards[4], "z"), "");
  EXPECT_EQ(write(taken, "z"), "");
  const auto store = open_postgres_store(settings);
  EXPECT_TRUE((*store)->get_record("k", "x")->has_value());
  EXPECT_FALSE((*store)->get_record("k", "y")->has_value());
  ShardLease other = taken;
  other.holder = old.holder;  // the number alone is not enough
  EXPECT_EQ(write(other, "y"), "store_failed");
}

}  // namespace
}  // namespace mc::db::contract
