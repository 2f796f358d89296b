// What the questions of the port answer.
#include <set>

#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
using Reads = AnyStore;
MC_EVERY_STORE(Reads);

TEST_P(Reads, OfAnEmptyStore) {
  EXPECT_FALSE(store().load_run(id_of(1)).value());
  EXPECT_TRUE(store().read_events(id_of(1), 0, 9).value().empty());
  EXPECT_TRUE(store().read_feed(0, 9).value().empty());
  EXPECT_EQ(store().feed_end().value(), 0);
  EXPECT_EQ(store().max_run_number().value(), 0);
  EXPECT_TRUE(store().list_runs({.project = "default"}).value().empty());
  EXPECT_FALSE(store().get_record("k", "k").value());
  EXPECT_TRUE(store().list_records("k", "", "", 9).value().empty());
  EXPECT_TRUE(store().each_open_run([](const StoredRun&) { return true; }));
  EXPECT_EQ(store().purge_runs(Instant{9}, 9, nothing_else).value(), 0);
  store().idle();
}

TEST_P(Reads, TheFeedInTheOrderOfCommits) {
  std::vector<std::string> wanted;
  Rng rng(1);
  std::int64_t seq[5] = {};
  for (int i = 0; i < 30; ++i) {
    const std::size_t run = rng.below(5);
    const int count = static_cast<int>(1 + rng.below(3));
    RunWrite write = write_of(static_cast<std::int64_t>(run) + 1, seq[run], count);
    wanted.push_back(write.events->payload);
    ASSERT_TRUE(store().commit(batch_of(std::move(write))));
    seq[run] += count;
  }
  std::vector<std::string> seen;
  std::int64_t after = 0;
  for (;;) {
    const auto page = store().read_feed(after, 7);
    ASSERT_TRUE(page);
    if (page->empty()) break;
    EXPECT_LE(page->size(), 7U);
    for (const FeedGroup& group : *page) {
      EXPECT_GT(group.position, after);
      after = group.position;
      seen.push_back(group.events.payload);
    }
  }
  EXPECT_EQ(seen, wanted);
  EXPECT_EQ(store().feed_end().value(), after);
}

TEST_P(Reads, EventsFromTheMiddleOfAGroup) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(store().commit(batch_of(write_of(1, 3 * i, 3))));
  const auto groups = store().read_events(id_of(1), 4, 2);
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 2U);
  EXPECT_EQ((*groups)[0].first_seq, 4);
  EXPECT_EQ((*groups)[1].first_seq, 7);
}

TEST_P(Reads, PagesThatStayAsTheyAreWhileRunsCome) {
  for (int number = 1; number <= 20; ++number)
    ASSERT_TRUE(store().commit(batch_of(write_of(number, 0))));
  std::vector<std::int64_t> seen;
  RunQuery query{.project = "default", .limit = 6};
  std::int64_t newest = 20;
  for (;;) {
    const auto page = store().list_runs(query);
    ASSERT_TRUE(page);
    if (page->empty()) break;
    for (const RunRow& row : *page) seen.push_back(row.number);
    query.before_number = page->back().number;
    ASSERT_TRUE(store().commit(batch_of(write_of(++newest, 0))));
  }
  std::vector<std::int64_t> wanted;
  for (int number = 20; number >= 1; --number) wanted.push_back(number);
  EXPECT_EQ(seen, wanted);
  EXPECT_EQ(store().max_run_number().value(), newest);
}

TEST_P(Reads, OpenRunsOldestFirstAndWhole) {
  std::vector<std::int64_t> wanted;
  Batch batch;
  for (int number = 600; number >= 1; --number) {
    RunWrite write = write_of(number, 0);
    if (number % 2 == 0) write.row.finished_at = Instant{5};
    if (number % 3 == 0) write.snapshot = "state";
    batch.runs.push_back(std::move(write));
  }
  ASSERT_TRUE(store().commit(batch));
  std::vector<std::int64_t> seen;
  ASSERT_TRUE(store().each_open_run([&](StoredRun run) {
    EXPECT_EQ(run.events.size(), run.row.number % 3 == 0 ? 0U : 1U);
    EXPECT_EQ(run.snapshot, run.row.number % 3 == 0 ? "state" : "");
    seen.push_back(run.row.number);
    // The visitor may ask the store itself.
    EXPECT_TRUE(store().load_run(run.row.id).value());
    return run.row.number < 577;
  }));
  for (int number = 1; number <= 577; number += 2) wanted.push_back(number);
  EXPECT_EQ(seen, wanted);
}

TEST_P(Reads, DeletedRunsByIdOnly) {
  RunWrite write = write_of(1, 0);
  write.row.deleted_at = Instant{5};
  write.row.labels = {{"a", "b"}};
  write.row.run_key = "key";
  ASSERT_TRUE(store().commit(batch_of(write)));
  EXPECT_TRUE(store().load_run(id_of(1)).value());
  EXPECT_TRUE(store().list_runs({.project = "default"}).value().empty());
  EXPECT_TRUE(store().list_runs({.project = "default", .run_key = "key"}).value().empty());
  EXPECT_TRUE(store().list_runs({.project = "default", .labels = {{"a", "b"}}}).value().empty());
  EXPECT_TRUE(
      store().list_runs({.project = "default", .statuses = {RunStatus::queued}}).value().empty());
}

// Keys are bytes: every page of every prefix holds just what a set of strings would give.
TEST_P(Reads, RecordsByPrefixInByteOrder) {
  const std::vector<std::string> keys = {"",
                                         "a",
                                         "a/",
                                         "a/b",
                                         "a/\xff",
                                         "a/\xff\xff",
                                         "a\xff",
                                         "b",
                                         "A",
                                         "ä",
                                         "a/b\x01",
                                         "a/b/c",
                                         "a\\",
                                         std::string("a\0b", 3),
                                         "%",
                                         "a_",
                                         "\xff",
                                         "\xff\xff",
                                         "\xff"
                                         "a"};
  Batch batch;
  for (const std::string& key : keys) batch.records.push_back({"kind", key, "{}", 0});
  batch.records.push_back({"kin", "a/other", "{}", 0});
  batch.records.push_back({"kindy", "a/other", "{}", 0});
  ASSERT_TRUE(store().commit(batch));
  const std::set<std::string> sorted(keys.begin(), keys.end());
  for (const std::string& prefix : keys) {
    for (const std::string& start : keys) {
      std::vector<std::string> wanted;
      for (const std::string& key : sorted) {
        if (key.starts_with(prefix) && key > start) wanted.push_back(key);
      }
      std::vector<std::string> seen;
      std::string after = start;
      for (;;) {
        const auto page = store().list_records("kind", prefix, after, 2);
        ASSERT_TRUE(page);
        if (page->empty()) break;
        for (const Record& record : *page) seen.push_back(record.key);
        after = seen.back();
      }
      EXPECT_EQ(seen, wanted) << testing::PrintToString(prefix) << " after "
                              << testing::PrintToString(start);
    }
  }
}
}  // namespace
}  // namespace mc::db::contract
