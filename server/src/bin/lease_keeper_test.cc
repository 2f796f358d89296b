// The thread that keeps a replica's leases, against a real PostgreSQL.
#include "bin/lease_keeper.h"

#include <algorithm>

#include "tests/contract/leases_rig.h"

namespace mc::bin {
namespace {
using db::contract::kAll;
using db::contract::kLongMax;

class PostgresKeeper : public db::contract::LeasesRig {
 protected:
  // A replica without anything that runs on its shards.
  struct Replica {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> leaders;  // by shard: who leads, as the gate would have it
    bool lost = false;
    int unanswered = 0;  // claims, since one was answered
    std::set<int> ready;
    bool tokens = false;
    std::unique_ptr<LeaseKeeper> keeper;

    // Whether it came to be.
    bool wait_until(const std::function<bool()>& is) {
      std::unique_lock lock(mutex);
      return changed.wait_for(lock, kLongMax, is);
    }
    // As a replica does: what is to be given is ended at once. Whether it came to be.
    bool keep_until(const std::function<bool(const LeaseKeeper::Keeping&)>& is) {
      const auto deadline = db::contract::soon();
      LeaseKeeper::Keeping now = keeper->look();
      while (!is(now)) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        for (const int shard : now.give) keeper->gave(shard);
        now = keeper->wait_for_change(now.version, Millis(1'000));
      }
      return true;
    }
    bool keep_until_it_leads(std::size_t many) {
      return keep_until([many](const auto& now) { return now.held.size() == many; });
    }
  };
  std::unique_ptr<Replica> replica(const std::string& name) {
    auto out = std::make_unique<Replica>();
    Replica& one = *out;
    LeaseKeeper::Listeners listeners;
    const auto note = [&one](const auto& what) {
      {
        const std::lock_guard lock(one.mutex);
        what();
      }
      one.changed.notify_all();
    };
    listeners.claimed = [&one, note](const db::Cluster& found, LeaseKeeper::Deadline) {
      note([&] {
        one.leaders.clear();
        for (const auto& lease : found.shards)
          one.leaders.push_back(lease.address.empty() ? "" : lease.name);
      });
    };
    listeners.news = [&one, note](const db::Leases::News& news) {
      note([&] {
        one.ready.insert(news.ready.begin(), news.ready.end());
        one.tokens = one.tokens || news.tokens;
      });
    };
    listeners.database = [&one, note](const Status& answers) {
      note([&] { one.unanswered = answers.ok() ? 0 : one.unanswered + 1; });
    };
    listeners.lost = [&one, note] { note([&] { one.lost = true; }); };
    one.keeper = std::make_unique<LeaseKeeper>(leases(name), listeners);
    return out;
  }
};

TEST_F(PostgresKeeper, SharesWithThoseThatComeAndTakesFromThoseThatGo) {
  const auto first = replica("a");
  ASSERT_TRUE(first->keep_until_it_leads(8));
  const auto second = replica("b");
  ASSERT_TRUE(first->keep_until_it_leads(4));
  ASSERT_TRUE(second->keep_until_it_leads(4));
  EXPECT_TRUE(first->wait_until([&] { return std::ranges::count(first->leaders, "b") == 4; }));
  const auto began = std::chrono::steady_clock::now();
  second->keeper->give_back();
  ASSERT_TRUE(first->keep_until_it_leads(8));
  EXPECT_LT(std::chrono::steady_clock::now() - began, kLongMax / 2);  // given, not lapsed
  EXPECT_FALSE(first->lost || second->lost);
}

TEST_F(PostgresKeeper, KeepsWhatItIsToGiveUntilItHasEnded) {
  const auto first = replica("a");
  ASSERT_TRUE(first->keep_until_it_leads(8));
  const auto second = replica("b");
  LeaseKeeper::Keeping now = first->keeper->look();
  while (now.give.empty()) now = first->keeper->wait_for_change(now.version, kLongMax);
  EXPECT_EQ(now.give, (std::set{4, 5, 6, 7}));
  first->keeper->gave(5);
  EXPECT_TRUE(second->keep_until_it_leads(1));
  EXPECT_TRUE(second->keeper->look().held.contains(5));
  while (now.held.size() == 8) now = first->keeper->wait_for_change(now.version, kLongMax);
  EXPECT_EQ(now.held.size(), 7U);
  EXPECT_EQ(now.give, (std::set{4, 6, 7}));
}

TEST_F(PostgresKeeper, ThatRetiresGivesAllAndTakesNothing) {
  const auto first = replica("a");
  ASSERT_TRUE(first->keep_until_it_leads(8));
  first->keeper->retire();
  EXPECT_TRUE(first->keep_until([](const auto& now) { return now.give == kAll; }));
  EXPECT_TRUE(first->keep_until_it_leads(0));
  EXPECT_TRUE(replica("b")->keep_until_it_leads(8));
}

TEST_F(PostgresKeeper, SparesAShardUntilItsTime) {
  const auto first = replica("a");
  ASSERT_TRUE(first->keep_until_it_leads(8));
  const std::int64_t epoch = first->keeper->look().held.at(3).epoch;
  const auto again = std::chrono::steady_clock::now() + db::Tenure::kEvery;
  first->keeper->gave(3, again);
  ASSERT_TRUE(first->keep_until([epoch](const auto& now) {
    const auto taken = now.held.find(3);
    return taken != now.held.end() && taken->second.epoch > epoch;
  }));
  EXPECT_GE(std::chrono::steady_clock::now(), again);
  EXPECT_FALSE(first->lost);
}

TEST_F(PostgresKeeper, OthersTakeWhatItSparesOutOfTurnAndGiveAnotherForIt) {
  const auto first = replica("a");
  ASSERT_TRUE(first->keep_until_it_leads(8));
  const auto second = replica("b");
  ASSERT_TRUE(first->keep_until_it_leads(4));
  ASSERT_TRUE(second->keep_until_it_leads(4));
  second->keeper->gave(7, std::chrono::steady_clock::now() + kLongMax);
  ASSERT_TRUE(first->keep_until([](const auto& now) { return now.held.contains(7); }));
  EXPECT_TRUE(first->keeper->look().give.empty());  // it may be that it cannot be opened
  ASSERT_TRUE(first->keep_until_it_leads(4));
  EXPECT_TRUE(first->keeper->look().held.contains(7));
  ASSERT_TRUE(second->keep_until_it_leads(4));
  EXPECT_TRUE(second->keeper->look().held.contains(3));
  EXPECT_FALSE(first->lost || second->lost);
}

TEST_F(PostgresKeeper, LosesAllWhenOneLeaseIsAnothers) {
  const auto first = replica("a");
  ASSERT_TRUE(first->keep_until_it_leads(8));
  database->run("UPDATE shards SET epoch = epoch + 1, holder = 'x' WHERE shard = 3");
  EXPECT_TRUE(first->keep_until([](const auto& now) { return now.lost; }));
  EXPECT_TRUE(first->lost);
  EXPECT_TRUE(first->keeper->look().held.empty());
}

// With a question a second it would lose each time. A busy machine may need longer than the lease.
TEST_F(PostgresKeeper, OutlivesADatabaseThatIsAwayForLessThanTheLease) {
  bool outlived = false;
  for (int attempt = 0; attempt < 10 && !outlived; ++attempt) {
    const auto first = replica("a");
    ASSERT_TRUE(first->keep_until_it_leads(8));
    database->shut();
    ASSERT_TRUE(first->wait_until([&] { return first->lost || first->unanswered >= 5; }));
    database->open();
    ASSERT_TRUE(first->wait_until([&] { return first->lost || first->unanswered == 0; }));
    outlived = !first->lost && first->keeper->look().held.size() == 8;
    first->keeper->give_back();
  }
  EXPECT_TRUE(outlived);
}

TEST_F(PostgresKeeper, LosesAllWhenItIsInDoubt) {
  const auto first = replica("a");
  ASSERT_TRUE(first->keep_until_it_leads(8));
  first->keeper->doubt();
  EXPECT_TRUE(first->lost);
  EXPECT_TRUE(first->keeper->look().lost);
  first->keeper->give_back();
  EXPECT_EQ(database->run("SELECT count(*) FROM shards WHERE holder <> ''"), "0");
  EXPECT_EQ(database->run("SELECT count(*) FROM members"), "0");
}

TEST_F(PostgresKeeper, TellsAndHearsOfJobsAndTokens) {
  const auto first = replica("a");
  ASSERT_TRUE(first->keep_until_it_leads(8));
  const auto second = replica("b");
  ASSERT_TRUE(first->keep_until_it_leads(4));
  ASSERT_TRUE(second->wait_until([&] { return !second->leaders.empty(); }));
  EXPECT_TRUE(second->keeper->hears());
  first->keeper->tell_ready(3);
  EXPECT_TRUE(second->wait_until([&] { return second->ready == std::set{3}; }));
  database->run("NOTIFY maestro_tokens");
  EXPECT_TRUE(second->wait_until([&] { return second->tokens; }));
}

}  // namespace
}  // namespace mc::bin
