// The feed while several shards commit: nobody waits for another's commit but who reads, and no
// reader skips what becomes visible late.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "tests/contract/postgres_server.h"
#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
constexpr Millis kLongMax{60'000};
constexpr const char* kWaits =
    "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

class PostgresFeed : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::missing().empty()) GTEST_SKIP() << PostgresServer::missing();
    database_ = std::make_unique<TempDatabase>();
  }
  std::unique_ptr<Store> open(int shard) {
    PostgresSettings settings = database_->settings();
    settings.shard = shard;
    settings.lock_timeout = settings.statement_timeout = kLongMax;
    auto opened = open_postgres_store(settings);
    if (!opened) ADD_FAILURE() << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  // Somebody waits for a lock.
  bool await_waiting(int count = 1) {
    const std::string sql = "SELECT count(*) = " + std::to_string(count) + " " + kWaits;
    const pg::Deadline deadline = pg::after(kLongMax);
    while (database_->run(sql) != "t") {
      if (std::chrono::steady_clock::now() > deadline) return false;
      (void)::poll(nullptr, 0, 5);
    }
    return true;
  }
  std::unique_ptr<TempDatabase> database_;
};

// A commit of a shard that has taken a position and goes no further; it is rolled back with this.
class Halfway {
 public:
  Halfway(const TempDatabase& database, int shard, std::int64_t run)
      : connection_(std::move(*pg::Connection::open(database.settings()))) {
    const std::vector<pg::Statement> statements = {
        {"SELECT 1 FROM feeds WHERE shard = $1 FOR NO KEY UPDATE",
         pg::Params().add(std::int64_t{shard})},
        {"INSERT INTO events SELECT nextval('positions'), $1, 1, 1, 1, ''",
         pg::Params().add(id_of(run))}};
    const pg::Answer begun = connection_->begin(pg::Kind::write, statements);
    MC_CHECK(bool(begun));
  }
  ~Halfway() { connection_->roll_back(); }
  Halfway(const Halfway&) = delete;
  Halfway& operator=(const Halfway&) = delete;
  void commit() { MC_CHECK(bool(connection_->commit({}))); }

 private:
  std::unique_ptr<pg::Connection> connection_;
};

std::vector<Uuid> runs_of(const Result<std::vector<FeedGroup>>& page) {
  std::vector<Uuid> runs;
  if (!page) ADD_FAILURE() << page.error().message;
  for (std::size_t i = 0; page && i < page->size(); ++i) runs.push_back((*page)[i].run);
  return runs;
}

TEST_F(PostgresFeed, CommitsOfOtherShardsAreNotWaitedFor) {
  const auto second = open(2), third = open(3);
  ASSERT_TRUE(second && third);
  auto held = std::make_unique<Halfway>(*database_, 2, 1);
  std::atomic<bool> over = false;
  std::thread waits([&] {
    EXPECT_EQ(code_of(second->commit(batch_of(write_of(2, 0)))), "");
    over = true;
  });
  EXPECT_TRUE(await_waiting());
  for (int n = 0; n < 3; ++n) EXPECT_EQ(code_of(third->commit(batch_of(write_of(3, n)))), "");
  EXPECT_FALSE(over);
  held.reset();
  waits.join();
}

TEST_F(PostgresFeed, WaitsForWhatMayStillComeBefore) {
  const auto store = open(3);
  ASSERT_TRUE(store);
  for (const bool made : {true, false}) {
    const std::int64_t before = store->feed_end().value();
    const std::int64_t late = made ? 1 : 3, early = late + 1;
    auto halfway = std::make_unique<Halfway>(*database_, 2, late);
    ASSERT_EQ(code_of(store->commit(batch_of(write_of(early, 0)))), "");
    std::vector<Uuid> seen;
    std::int64_t end = 0;
    std::thread reader([&] { seen = runs_of(store->read_feed(before, 9)); });
    std::thread asker([&] { end = open(4)->feed_end().value(); });
    EXPECT_TRUE(await_waiting(2));
    if (made) halfway->commit();
    halfway.reset();
    reader.join();
    asker.join();
    using Ids = std::vector<Uuid>;
    EXPECT_EQ(seen, made ? Ids({id_of(late), id_of(early)}) : Ids({id_of(early)}));
    const auto feed = store->read_feed(0, 9);
    ASSERT_TRUE(feed);
    EXPECT_EQ(end, feed->back().position);
    // Nothing new: nothing is waited for.
    Halfway idle(*database_, 2, 9);
    EXPECT_EQ(store->read_feed(before, 9)->size(), seen.size());
  }
}

TEST_F(PostgresFeed, WhatItGaveIsGivenAgainWithoutWaiting) {
  const auto store = open(3);
  ASSERT_TRUE(store);
  for (int n = 1; n <= 2; ++n) ASSERT_EQ(code_of(store->commit(batch_of(write_of(n, 0)))), "");
  const auto page = store->read_feed(0, 9);
  ASSERT_EQ(page->size(), 2U);
  const Halfway halfway(*database_, 2, 3);
  const pg::Deadline deadline = pg::after(kLongMax / 2);
  EXPECT_EQ(runs_of(store->read_feed(0, 2)), runs_of(page));
  EXPECT_LT(std::chrono::steady_clock::now(), deadline);
}

// Who holds all rows knows that no position is given: what was given is visible or gone.
TEST_F(PostgresFeed, GivesNoPositionWhileItsRowIsHeld) {
  const auto store = open(2);
  ASSERT_TRUE(store);
  const auto reader = std::move(*pg::Connection::open(database_->settings()));
  const pg::Statement hold{"SELECT 1 FROM feeds ORDER BY shard FOR SHARE", {}};
  ASSERT_TRUE(bool(reader->begin(pg::Kind::write, {&hold, 1})));
  std::thread writer([&] { EXPECT_EQ(code_of(store->commit(batch_of(write_of(1, 0)))), ""); });
  EXPECT_TRUE(await_waiting());
  EXPECT_EQ(database_->run("SELECT is_called FROM positions"), "f");
  reader->roll_back();
  writer.join();
  EXPECT_EQ(store->feed_end().value(), 1);
}

TEST_F(PostgresFeed, OfNothingIsEmptyAndItsFirstGroupIsSeen) {
  const auto store = open(0);
  ASSERT_TRUE(store);
  EXPECT_EQ(store->feed_end().value(), 0);
  EXPECT_TRUE(store->read_feed(0, 9)->empty());
  ASSERT_EQ(code_of(store->commit(batch_of(write_of(1, 0)))), "");
  EXPECT_EQ(runs_of(store->read_feed(0, 9)), std::vector{id_of(1)});
  EXPECT_TRUE(store->read_feed(1, 9)->empty());
}

// Followers go on from the last position that they saw, while every shard commits.
TEST_F(PostgresFeed, OfManyShardsSkipsNothing) {
  constexpr int kShards = 4;
  constexpr std::int64_t kEach = 80;
  const auto watched = open(0);
  ASSERT_TRUE(watched);
  std::atomic<bool> over = false;
  std::vector<std::int64_t> seen[2];
  std::vector<std::thread> threads;
  for (std::vector<std::int64_t>& positions : seen) {
    threads.emplace_back([&] {
      for (bool last = false;;) {
        const auto page = watched->read_feed(positions.empty() ? 0 : positions.back(), 7);
        ASSERT_TRUE(page) << page.error().message;
        for (const FeedGroup& group : *page) positions.push_back(group.position);
        if (last && page->empty()) return;
        last = over;
      }
    });
  }
  std::vector<std::thread> writers;
  for (int shard = 0; shard < kShards; ++shard) {
    writers.emplace_back([&, shard] {
      const auto store = open(shard);
      for (std::int64_t n = 0; n < kEach; ++n) {
        Batch batch;  // in the batch's order
        for (std::int64_t run = 1; run <= 3; ++run)
          batch.runs.push_back(write_of(shard * 10 + run, n));
        ASSERT_EQ(code_of(store->commit(batch)), "");
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  over = true;
  for (std::thread& thread : threads) thread.join();
  std::vector<std::int64_t> all;
  const auto feed = watched->read_feed(0, 1'000'000);
  ASSERT_TRUE(feed);
  for (const FeedGroup& group : *feed) all.push_back(group.position);
  EXPECT_EQ(std::ssize(all), kShards * kEach * 3);
  EXPECT_EQ(seen[0], all);
  EXPECT_EQ(seen[1], all);
  // Each run's groups in the order of its commits.
  EXPECT_EQ(database_->run("SELECT count(*) FROM (SELECT last_seq, lag(last_seq) OVER (PARTITION "
                           "BY run ORDER BY position) AS before FROM events) e WHERE before > "
                           "last_seq"),
            "0");
}
}  // namespace
}  // namespace mc::db::contract
