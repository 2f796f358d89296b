// Several servers that share the shards: locks against commits, races, and how shares become even.
#include <atomic>
#include <thread>

#include "base/rng.h"
#include "tests/contract/leases_rig.h"

namespace mc::db::contract {
namespace {

class PostgresSharing : public LeasesRig {
 protected:
  // One that does what a replica does once a second; it gives at once.
  struct Replica {
    std::unique_ptr<Leases> leases;
    std::set<int> wanted, has;
    int gave = 0;
  };
  Replica replica(const std::string& name) { return {leases(name), {}, {}}; }
  static void act(Replica& one) {
    const Cluster found = claim(*one.leases, one.wanted);
    one.has = own(found);
    const Plan planned = plan(found, one.leases->self().holder);
    one.wanted = planned.take;
    if (planned.give.empty()) return;
    EXPECT_TRUE(one.leases->give(planned.give).ok());
    one.gave += static_cast<int>(planned.give.size());
  }
  bool wait_until_true(const std::string& sql) {
    const auto deadline = soon();
    while (database->run(sql) != "t") {
      if (std::chrono::steady_clock::now() > deadline) return false;
    }
    return true;
  }
};

TEST_F(PostgresSharing, BecomeEvenWhoeverJoinsAndLeaves) {
  std::vector<Replica> all;
  all.push_back(replica("a"));
  for (int i = 0; i < 2; ++i) act(all[0]);
  EXPECT_EQ(all[0].has, kAll);
  all.push_back(replica("b"));
  all.push_back(replica("c"));
  for (int i = 0; i < 4; ++i)
    for (Replica& one : all) act(one);
  EXPECT_EQ(all[0].has.size(), 3U);
  EXPECT_EQ(all[1].has.size() + all[2].has.size(), 5U);
  EXPECT_EQ(all[0].gave, 5);
  EXPECT_EQ(all[1].gave + all[2].gave, 0);
  ASSERT_TRUE(all[0].leases->leave().ok());
  for (int i = 0; i < 2; ++i)
    for (std::size_t n : {1U, 2U}) act(all[n]);
  EXPECT_EQ(all[1].has.size(), 4U);
  EXPECT_EQ(all[2].has.size(), 4U);
  EXPECT_EQ(all[1].gave + all[2].gave, 0);
}

// The row lock of a commit under way: it is renewed under, and not taken over.
class HeldShard {
 public:
  HeldShard(const PostgresSettings& settings, int shard)
      : connection_(std::move(*pg::Connection::open(settings))) {
    const pg::Statement lock{"SELECT 1 FROM shards WHERE shard = $1 FOR KEY SHARE",
                             pg::Params().add(std::int64_t{shard})};
    EXPECT_TRUE(connection_->begin(pg::Kind::write, {&lock, 1}));
  }

 private:
  std::unique_ptr<pg::Connection> connection_;
};

TEST_F(PostgresSharing, ThatCommitAreRenewedAndNotTakenOver) {
  settings.lock_timeout = Millis(200);
  const auto first = leases("a", Millis(1)), second = leases("b");
  claim(*first, {1, 2});
  auto under_way = std::make_unique<HeldShard>(settings, 1);
  EXPECT_EQ(own(claim(*first)), (std::set{1, 2}));
  claim(*second, {0});
  while (own(claim(*second, {1, 2})) != (std::set{0, 2})) {}
  EXPECT_EQ(own(claim(*second, {1})), (std::set{0, 2}));  // and its own are renewed
  EXPECT_EQ(own(claim(*first)), std::set{1});             // the lock goes with the row
  while (own(claim(*second, {1})) != (std::set{0, 2})) {}
  EXPECT_EQ(own(claim(*second, {1})), (std::set{0, 2}));
  ASSERT_TRUE(first->give({1}).ok());  // in order, or by those who saw its process end
  EXPECT_EQ(own(claim(*second, {1})), (std::set{0, 2}));
  claim(*second);
  hear_all(*second);
  claim(*second, {1});
  EXPECT_TRUE(second->wait(soon()).leases);  // nobody says so: it is time for another attempt
  under_way.reset();
  while (own(claim(*second, {1})) != (std::set{0, 1, 2})) second->wait(soon());
  EXPECT_EQ(claim(*second).shards[1].epoch, 2);
}

// Builds of before take over by an UPDATE alone: that the epoch is part of a key makes it wait.
TEST_F(PostgresSharing, ThatCommitAreNotTakenOverByAnyUpdateOfTheEpoch) {
  const HeldShard under_way(settings, 1);
  EXPECT_TRUE(database->run("UPDATE shards SET expires_at = now() WHERE shard = 1; SELECT 1") ==
              "1");
  const auto other = pg::Connection::open(settings);
  const pg::Statement limit{"SET LOCAL lock_timeout = '50ms'", {}};
  const pg::Statement take{"UPDATE shards SET epoch = epoch + 1 WHERE shard = 1", {}};
  ASSERT_TRUE((*other)->begin(pg::Kind::write, {&limit, 1}));
  const pg::Answer answer = (*other)->run({&take, 1});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.failure->sqlstate, "55P03");
}

// The fence: a lease that lapsed is not taken while its holder's commit is under way.
TEST_F(PostgresSharing, WhoseCommitIsUnderWayAreTakenOnceItIsMade) {
  settings.lock_timeout = settings.statement_timeout = kLongMax;
  const auto first = leases("a", Millis(1)), second = leases("b");
  const ShardLease led = claim(*first, {2}).shards[2];
  const auto store = open_postgres_store(under(led));
  ASSERT_TRUE(store.ok());
  auto blocker = std::move(*pg::Connection::open(settings));
  const pg::Statement lock{"LOCK TABLE records IN ACCESS EXCLUSIVE MODE", {}};
  ASSERT_TRUE(blocker->begin(pg::Kind::write, {&lock, 1}));
  Batch batch;
  batch.records.push_back({"k", "x", "{}", std::nullopt});
  Status done;
  std::thread writer([&] { done = (*store)->commit(batch); });
  EXPECT_TRUE(
      wait_until_true("SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = "
                      "current_database() AND wait_event_type = 'Lock'"));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(own(claim(*first)), std::set{2});  // renewed meanwhile, so that it is never overdue
    EXPECT_TRUE(own(claim(*second, {2})).empty());
  }
  blocker.reset();
  writer.join();
  EXPECT_TRUE(done.ok());
  Cluster taken = claim(*second, {2});
  while (own(taken).empty()) taken = claim(*second, {2});
  EXPECT_EQ(taken.shards[2].epoch, led.epoch + 1);
  EXPECT_FALSE((*store)->commit(batch).ok());
}

// Leases of a millisecond, so that everything lapses all the time: who says "mine" under an epoch
// is the only one that ever says so, and nobody waits for another for ever.
TEST_F(PostgresSharing, HaveOneHolderAnEpoch) {
  constexpr int kReplicas = 4, kClaims = 60;
  std::mutex mutex;
  std::map<std::pair<int, std::int64_t>, std::string> holders;
  std::atomic<int> twice = 0, failures = 0;
  std::vector<std::thread> threads;
  for (int n = 0; n < kReplicas; ++n) {
    threads.emplace_back([&, n] {
      Rng rng(static_cast<std::uint64_t>(n) + 1);
      const auto own_leases = leases(std::to_string(n), Millis(1));
      for (int i = 0; i < kClaims; ++i) {
        std::set<int> wanted;
        for (const int shard : kAll)
          if (rng.chance(0.5)) wanted.insert(shard);
        const auto found = own_leases->claim(wanted);
        if (!found.ok()) {
          ++failures;
          continue;
        }
        {
          const std::lock_guard lock(mutex);
          for (const ShardLease& lease : found->shards) {
            if (!lease.mine) continue;
            const auto [at, fresh] = holders.try_emplace({lease.shard, lease.epoch}, lease.holder);
            if (at->second != lease.holder) ++twice;
          }
        }
        if (rng.chance(0.3)) (void)own_leases->give(wanted);
      }
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(twice, 0);
  EXPECT_EQ(failures, 0);
  EXPECT_GT(holders.size(), 16U);
}

TEST_F(PostgresSharing, AtRestCostOneStatementAClaim) {
  const auto first = leases("a"), second = leases("b");
  claim(*first, kAll);
  claim(*second);
  hear_all(*first);
  // Of all transactions that wrote.
  database->run("CREATE TABLE noted AS SELECT pg_current_xact_id()::text::int8 AS xid");
  for (int i = 0; i < 10; ++i) claim(*first);
  EXPECT_EQ(database->run("SELECT pg_current_xact_id()::text::int8 - xid FROM noted"), "11");
}

}  // namespace
}  // namespace mc::db::contract
