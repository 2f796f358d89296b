// Commits over a PostgreSQL that goes away, and by several stores at once: nothing that was
// answered is lost, nothing is made twice, the feed never skips.
#include <poll.h>

#include <atomic>
#include <set>
#include <thread>

#include "db/postgres/leases.h"
#include "tests/contract/postgres_proxy.h"
#include "tests/contract/postgres_server.h"

namespace mc::db::contract {
namespace {
constexpr Millis kLongMax{60'000};

class PostgresCommits : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::missing().empty()) GTEST_SKIP() << PostgresServer::missing();
    database_ = std::make_unique<TempDatabase>();
    proxy_ = std::make_unique<PostgresProxy>(PostgresServer::shared().socket());
  }
  std::unique_ptr<Store> open(PostgresSettings settings) {
    auto opened = open_postgres_store(settings);
    if (!opened) ADD_FAILURE() << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  std::unique_ptr<Store> open() { return open(unhurried(database_->settings().url)); }
  std::unique_ptr<Store> open_through_proxy() {
    return open(unhurried(proxy_->url(database_->name())));
  }
  // Locks that a test holds are not to be waited for in vain.
  static PostgresSettings unhurried(std::string url) {
    return {.url = std::move(url), .statement_timeout = kLongMax, .lock_timeout = kLongMax};
  }
  std::string run(const std::string& sql) { return database_->run(sql); }
  bool wait_until_true(const std::string& sql) {
    const pg::Deadline deadline = pg::after(kLongMax);
    while (run(sql) != "t") {
      if (std::chrono::steady_clock::now() > deadline) return false;
      (void)::poll(nullptr, 0, 5);
    }
    return true;
  }
  std::unique_ptr<TempDatabase> database_;
  std::unique_ptr<PostgresProxy> proxy_;
};

// Commit n moves three runs to seq n and puts a record without a guard: made twice, its version
// would tell.
Batch step(std::int64_t n) {
  Batch batch;
  for (std::int64_t run = 1; run <= 3; ++run) batch.runs.push_back(write_of(run, n - 1));
  batch.records = {{"kind", "key", std::to_string(n), std::nullopt}};
  batch.receipts = {{"scope", std::to_string(n), "digest", 201, "/l", "body", Instant{n}}};
  return batch;
}

// How many commits the store holds; -1: parts of one, or one twice.
std::int64_t whole_commits(Store& store) {
  const auto feed = store.read_feed(0, 1'000'000);
  const auto record = store.get_record("kind", "key");
  if (!feed || !record) return -1;
  const std::int64_t commits = *record ? (*record)->version : 0;
  if (std::ssize(*feed) != 3 * commits) return -1;
  for (std::int64_t number = 1; number <= 3 && commits > 0; ++number) {
    const auto run = store.load_run(id_of(number));
    if (!run || !*run || (*run)->last_seq != commits) return -1;
    if (std::ssize((*run)->events) != commits) return -1;
  }
  return commits;
}

// A primary that waits for a standby which is not there.
class Unconfirmed : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::missing().empty()) GTEST_SKIP() << PostgresServer::missing();
    server_ = std::make_unique<PostgresServer>();
    settings_.url = server_->url(server_->fresh_database());
  }
  // For one whose commits are not confirmed. Of its own: what must succeed has its time.
  PostgresSettings brief(Millis time = Millis(500)) const {
    PostgresSettings hasty = settings_;
    hasty.statement_timeout = hasty.answer_margin = time;
    hasty.outage = Millis(500);
    return hasty;
  }
  void wait_for_standby(const std::string& name) {
    server_->run("postgres", "ALTER SYSTEM SET synchronous_standby_names = '" + name + "'");
    server_->run("postgres", "SELECT pg_reload_conf()");
    auto watch = pg::Connection::open({.url = server_->url("postgres")});
    ASSERT_TRUE(watch.ok());
    const pg::Statement ask{"SHOW synchronous_standby_names", {}};
    while ((*watch)->run({&ask, 1}).rows.front().text(0, 0) != name) (void)::poll(nullptr, 0, 5);
    // The checkpointer tells sessions to wait, once it has read the setting, too.
    while (!name.empty() && server_->run("postgres",
                                         "SELECT count(*) > 0 FROM pg_stat_activity "
                                         "WHERE wait_event = 'SyncRep'") != "t") {
      auto probe = pg::Connection::open(brief(Millis(20)));
      if (probe.ok()) (void)(*probe)->settle();
    }
  }
  std::unique_ptr<PostgresServer> server_;
  PostgresSettings settings_;
};

TEST_F(Unconfirmed, CommitsAreNotAnsweredAndWhatTheyWroteIsNotShown) {
  const auto patient = open_postgres_store(settings_);
  ASSERT_TRUE(patient.ok()) << patient.error().message;
  ASSERT_EQ(code_of((*patient)->commit(step(1))), "");
  int doubts = 0;
  PostgresSettings settings = brief(Millis(2'000));
  settings.in_doubt = [&] { ++doubts; };
  const auto store = open_postgres_store(settings);
  ASSERT_TRUE(store.ok()) << store.error().message;
  wait_for_standby("nobody");
  EXPECT_EQ(doubts, 0);
  const Status refused = (*store)->commit(step(2));
  ASSERT_EQ(code_of(refused), "store_failed");
  EXPECT_EQ(doubts, 1);
  EXPECT_NE(refused.error().message.find("standby"), std::string::npos) << refused.error().message;
  EXPECT_FALSE((*store)->load_run(id_of(1)).ok());  // by a new connection
  wait_for_standby("");
  EXPECT_EQ(whole_commits(**patient), 2);  // it had been made, and is confirmed now
}

TEST_F(Unconfirmed, ACommitThatSomebodyCancelsIsNotBelieved) {
  ASSERT_TRUE(open_postgres_store(settings_).ok());  // the schema
  const auto store = open_postgres_store(brief(Millis(2'000)));
  ASSERT_TRUE(store.ok()) << store.error().message;
  wait_for_standby("nobody");
  std::atomic<bool> over = false;
  std::thread administrator([&] {
    while (!over) {
      server_->run("postgres",
                   "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity "
                   "WHERE wait_event = 'SyncRep'");
      (void)::poll(nullptr, 0, 5);
    }
  });
  const Status refused = (*store)->commit(step(1));
  over = true;
  administrator.join();
  ASSERT_EQ(code_of(refused), "store_failed");
  EXPECT_NE(refused.error().message.find("confirm"), std::string::npos) << refused.error().message;
}

TEST_F(Unconfirmed, NobodyLeadsByWhatTheStandbyLacks) {
  ASSERT_TRUE(open_postgres_store(settings_).ok());
  const auto leases = Leases::open(brief(), {.name = "a", .address = "a:1"});
  ASSERT_TRUE(leases.ok());
  wait_for_standby("nobody");
  EXPECT_FALSE((*leases)->claim({0}).ok());
  EXPECT_FALSE((*leases)->claim({}).ok());  // also when it is its own already
  wait_for_standby("");
  const pg::Deadline deadline = pg::after(kLongMax);
  auto claimed = (*leases)->claim({0});
  while (!claimed && std::chrono::steady_clock::now() < deadline) claimed = (*leases)->claim({0});
  EXPECT_TRUE(claimed.ok() && claimed->shards.front().mine);
}

TEST_F(PostgresCommits, WhoseAnswerIsLostAreReportedAsMadeAndMadeOnce) {
  const auto store = open_through_proxy();
  ASSERT_TRUE(store);
  for (std::int64_t n = 1; n <= 4; ++n) {
    if (n % 2 == 0) proxy_->cut_next_answer();
    EXPECT_EQ(code_of(store->commit(step(n))), "");
    EXPECT_EQ(whole_commits(*store), n);
  }
  EXPECT_EQ(proxy_->cuts(), 2);
}

TEST_F(PostgresCommits, ThatNeverArrivedAreMadeAnew) {
  const auto store = open_through_proxy();
  ASSERT_TRUE(store);
  for (std::int64_t n = 1; n <= 4; ++n) {
    if (n % 2 == 0) proxy_->cut_next_request();
    EXPECT_EQ(code_of(store->commit(step(n))), "");
    EXPECT_EQ(whole_commits(*store), n);
  }
  EXPECT_EQ(proxy_->cuts(), 2);
}

// The feed's rows are locked by somebody else until this goes.
class HeldFeed {
 public:
  explicit HeldFeed(const std::string& database)
      : connection_(std::move(*pg::Connection::open(
            {.url = PostgresServer::shared().url(database), .statement_timeout = kLongMax}))) {
    const pg::Statement lock{"SELECT position FROM feeds FOR UPDATE", {}};
    MC_CHECK(bool(connection_->begin(pg::Kind::write, {&lock, 1})));
  }
  ~HeldFeed() { connection_->roll_back(); }
  HeldFeed(const HeldFeed&) = delete;
  HeldFeed& operator=(const HeldFeed&) = delete;

 private:
  std::unique_ptr<pg::Connection> connection_;
};
constexpr const char* kWaits =
    "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

TEST_F(PostgresCommits, WhoseFirstAttemptIsStillRunningWaitForIt) {
  const auto store = open_through_proxy();
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->commit(step(1)));
  auto held = std::make_unique<HeldFeed>(database_->name());
  Status done;
  std::thread writer([&] { done = store->commit(step(2)); });
  EXPECT_TRUE(wait_until_true(std::string("SELECT count(*) = 1 ") + kWaits));
  proxy_->drop_clients();
  EXPECT_TRUE(wait_until_true(std::string("SELECT count(*) = 2 ") + kWaits));
  held.reset();
  writer.join();
  EXPECT_EQ(code_of(done), "");
  EXPECT_EQ(whole_commits(*store), 2);
}

TEST_F(PostgresCommits, OfASessionThatIsTerminatedAreMadeOnce) {
  const auto store = open();
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->commit(step(1)));
  auto held = std::make_unique<HeldFeed>(database_->name());
  Status done;
  std::thread writer([&] { done = store->commit(step(2)); });
  const std::string waits = kWaits;
  EXPECT_TRUE(wait_until_true("SELECT count(*) = 1 " + waits));
  run("SELECT pg_terminate_backend(pid) " + waits);
  held.reset();
  writer.join();
  EXPECT_EQ(code_of(done), "");
  EXPECT_EQ(whole_commits(*store), 2);
}

TEST_F(PostgresCommits, FailInAnOutageThatLastsAndGoOnAfterwards) {
  PostgresSettings settings = database_->settings();
  settings.outage = Millis(200);
  const auto store = open(settings);
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->commit(step(1)));
  EXPECT_EQ(whole_commits(*store), 1);
  PostgresServer::shared().stop();
  EXPECT_EQ(code_of(store->commit(step(2))), "store_failed");
  EXPECT_FALSE(store->feed_end());
  PostgresServer::shared().start();
  EXPECT_EQ(whole_commits(*store), 1);
  EXPECT_EQ(code_of(store->commit(step(2))), "");
  EXPECT_EQ(whole_commits(*store), 2);
}

TEST_F(PostgresCommits, SurviveCrashesOfTheServer) {
  const auto store = open();
  ASSERT_TRUE(store);
  std::atomic<std::int64_t> answered = 0;
  std::atomic<bool> over = false;
  std::thread writer([&] {
    while (!over) {
      const Status done = store->commit(step(answered + 1));
      EXPECT_EQ(code_of(done), "") << (done ? "" : done.error().message);
      if (done) ++answered;
    }
  });
  for (int crash = 0; crash < 3; ++crash) {
    const std::int64_t before = answered;
    const pg::Deadline deadline = pg::after(kLongMax);
    while (answered < before + 40 && std::chrono::steady_clock::now() < deadline)
      (void)::poll(nullptr, 0, 1);
    PostgresServer::shared().crash();
    PostgresServer::shared().start();
  }
  over = true;
  writer.join();
  EXPECT_GE(answered, 120);
  EXPECT_EQ(whole_commits(*store), answered);
}

TEST_F(PostgresCommits, ThatWaitTooLongForALockFailAndLeaveNothing) {
  PostgresSettings settings = database_->settings();
  settings.lock_timeout = Millis(50);
  const auto store = open(settings);
  ASSERT_TRUE(store);
  const auto held = std::make_unique<HeldFeed>(database_->name());
  EXPECT_EQ(code_of(store->commit(step(1))), "store_failed");
  EXPECT_EQ(whole_commits(*store), 0);
}

TEST_F(PostgresCommits, TakeTextsOfAnyLengthAndByte) {
  const auto store = open();
  ASSERT_TRUE(store);
  Rng rng(1);
  std::string text;  // nothing that compresses
  for (int i = 0; i < 20'000; ++i) text += static_cast<char>(rng.below(256));
  RunWrite write = write_of(1, 0);
  write.row.project = write.row.workflow = write.row.actor = write.row.ref = text;
  write.row.commit = write.row.run_key = text;
  write.events->payload = write.row.json = text;
  write.snapshot = text;
  ASSERT_EQ(code_of(store->commit(batch_of(write))), "");
  RunQuery query{.project = text, .workflow = text, .actor = text, .ref = text, .commit = text};
  query.run_key = text;
  const auto found = store->list_runs(query);
  ASSERT_TRUE(found);
  EXPECT_EQ(shown(*found), shown(write.row));
  query.ref += "x";
  EXPECT_TRUE(store->list_runs(query).value().empty());
}

TEST_F(PostgresCommits, LeaveIdsForAnHour) {
  const auto store = open();
  ASSERT_TRUE(store);
  for (std::int64_t n = 1; n <= 3; ++n) ASSERT_TRUE(store->commit(step(n)));
  EXPECT_EQ(run("SELECT count(*) FROM commits"), "3");
  run("UPDATE commits SET made_at = made_at - interval '61 minutes' WHERE id IN "
      "(SELECT id FROM commits LIMIT 2)");
  const auto another = open();
  another->idle();
  EXPECT_EQ(run("SELECT count(*) FROM commits"), "1");
}

// Two that make the same run, record or receipt, while neither can see the other's yet.
TEST_F(PostgresCommits, OfTheSameNewThingByTwoStoresAreMadeByOneOnly) {
  const auto first = open();
  const auto second = open();
  ASSERT_TRUE(first && second);
  std::vector<Batch> same(3);
  same[0].runs = {write_of(9, 0)};
  same[1].records = {{"kind", "new", "{}", 0}};
  same[2].receipts = {{"scope", "new", "digest", 201, "/l", "body", Instant{1}}};
  for (std::int64_t i = 0; i < std::ssize(same); ++i) {
    SCOPED_TRACE(i);
    std::vector<Batch> both(2, same[static_cast<std::size_t>(i)]);
    both[0].runs.push_back(write_of(100 + i, 0));
    both[1].runs.push_back(write_of(200 + i, 0));
    auto held = std::make_unique<HeldFeed>(database_->name());
    Status one, two;
    const std::string waits = kWaits;
    std::thread earlier([&] { one = first->commit(both[0]); });
    EXPECT_TRUE(wait_until_true("SELECT count(*) = 1 " + waits));
    std::thread later([&] { two = second->commit(both[1]); });
    EXPECT_TRUE(wait_until_true("SELECT count(*) = 2 " + waits));
    held.reset();
    earlier.join();
    later.join();
    EXPECT_EQ(code_of(one), "");
    EXPECT_EQ(code_of(two), "conflict");
    EXPECT_TRUE(first->load_run(id_of(100 + i)).value());
    EXPECT_FALSE(first->load_run(id_of(200 + i)).value());
  }
}

// Each of several stores moves runs of its own and, against the others, one run and a record.
TEST_F(PostgresCommits, BySeveralStoresKeepGuardsAndTheOrderOfTheFeed) {
  constexpr int kStores = 3;
  constexpr std::int64_t kEach = 60;
  constexpr std::int64_t kShared = 1000;
  std::atomic<int> won = 0;
  std::atomic<int> made_first = 0;
  std::atomic<bool> over = false;
  const auto work = [&](int me) {
    const auto store = open();
    for (std::int64_t n = 1; n <= kEach; ++n) {
      const auto shared = store->load_run(id_of(kShared)).value();
      Batch batch = batch_of(write_of(kShared, shared ? shared->last_seq : 0));
      batch.runs.push_back(write_of(me, n - 1));
      batch.records = {{"first", std::to_string(n), "{}", 0}};
      const std::string code = code_of(store->commit(batch));
      EXPECT_TRUE(code.empty() || code == "conflict") << code;
      if (code.empty()) {
        ++won;
        ++made_first;
        continue;
      }
      ASSERT_EQ(code_of(store->commit(batch_of(write_of(me, n - 1)))), "");
    }
  };
  const auto watcher_store = open();
  std::vector<std::int64_t> seen;
  std::thread watcher([&] {
    for (bool last = false;;) {
      const auto page = watcher_store->read_feed(seen.empty() ? 0 : seen.back(), 7).value();
      for (const FeedGroup& group : page) seen.push_back(group.position);
      if (last && page.empty()) return;
      last = over;
    }
  });
  std::vector<std::thread> writers;
  for (int me = 1; me <= kStores; ++me) writers.emplace_back(work, me);
  for (std::thread& writer : writers) writer.join();
  over = true;
  watcher.join();
  const auto shared = watcher_store->load_run(id_of(kShared)).value();
  ASSERT_TRUE(shared);
  EXPECT_EQ(shared->last_seq, won);
  EXPECT_EQ(std::ssize(watcher_store->list_records("first", "", "", 1000).value()), made_first);
  std::vector<std::int64_t> all;
  const auto feed = watcher_store->read_feed(0, 1'000'000);
  ASSERT_TRUE(feed);
  for (const FeedGroup& group : *feed) all.push_back(group.position);
  EXPECT_EQ(std::ssize(all), kStores * kEach + won);
  EXPECT_EQ(seen, all);
}

// Batches that lock the same runs and records, listed in any order, do not fail for it.
TEST_F(PostgresCommits, InAnyOrderDoNotDeadlock) {
  const auto work = [&](std::uint64_t seed) {
    const auto store = open();
    Rng rng(seed);
    for (int n = 0; n < 60; ++n) {
      std::set<std::int64_t> numbers;
      while (numbers.size() < 4) numbers.insert(static_cast<std::int64_t>(rng.below(6)) + 1);
      std::vector<std::int64_t> order(numbers.begin(), numbers.end());
      if (rng.chance(0.5)) std::reverse(order.begin(), order.end());
      Batch batch;
      for (const std::int64_t number : order) {
        const auto run = store->load_run(id_of(number)).value();
        batch.runs.push_back(write_of(number, run ? run->last_seq : 0));
        batch.records.push_back({"kind", std::to_string(number), "{}", std::nullopt});
      }
      const std::string code = code_of(store->commit(batch));
      EXPECT_TRUE(code.empty() || code == "conflict") << code;
    }
  };
  ASSERT_TRUE(open());
  std::thread one(work, 1), two(work, 2);
  one.join();
  two.join();
}
}  // namespace
}  // namespace mc::db::contract
