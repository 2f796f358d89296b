// Reads beside commits.
#include <atomic>
#include <thread>

#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
using Threads = AnyStore;
MC_EVERY_STORE(Threads);

// Every commit moves two runs and a record to the same value: who sees one sees all.
TEST_P(Threads, SeeWholeCommitsOnly) {
  constexpr int kCommits = 150;
  const auto step = [](std::int64_t n) {
    Batch batch;
    batch.runs = {write_of(1, n - 1), write_of(2, n - 1)};
    batch.runs[0].snapshot = std::to_string(n);
    return batch;
  };
  ASSERT_TRUE(store().commit(step(1)));
  std::atomic<bool> over = false;
  std::atomic<int> looks = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      do {
        const auto one = store().load_run(id_of(1)).value();
        EXPECT_EQ(std::to_string(one->last_seq), one->snapshot);
        EXPECT_EQ(one->snapshot_seq, one->last_seq);
        EXPECT_TRUE(one->events.empty());
        const auto two = store().load_run(id_of(2)).value();
        EXPECT_GE(two->last_seq, one->last_seq);
        EXPECT_EQ(static_cast<std::int64_t>(two->events.size()), two->last_seq);
        const auto rows = store().list_runs({.project = "default"}).value();
        ASSERT_EQ(rows.size(), 2U);
        EXPECT_EQ(rows[0].json.substr(rows[0].json.find("seq")),
                  rows[1].json.substr(rows[1].json.find("seq")));
        const auto feed = store().read_feed(0, 1'000'000).value();
        EXPECT_EQ(feed.size() % 2, 0U);
        ++looks;
      } while (!over);
    });
  }
  for (std::int64_t n = 2; n <= kCommits; ++n) {
    EXPECT_TRUE(store().commit(step(n)));
    if (n % 50 == 0) store().idle();
  }
  over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GE(looks, 3);
  EXPECT_EQ(store().load_run(id_of(2)).value()->last_seq, kCommits);
}
}  // namespace
}  // namespace mc::db::contract
