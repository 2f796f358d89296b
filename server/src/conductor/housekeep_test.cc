#include "conductor/housekeep.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "db/memory/memory_store.h"

namespace mc::conductor {
namespace {
constexpr Uuid kRun{1, 2};

// Who leads another shard than the first removes its own runs with its copies of their logs, and
// nothing that is everybody's.
TEST(Housekeep, OfAShardRemovesItsRunsAndLeavesReceipts) {
  std::string folder = std::filesystem::temp_directory_path().string() + "/mc_keep_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto blobs = std::move(*blob::open_disk(folder));
  const auto store = db::make_memory_store();
  db::Batch batch;
  batch.receipts.push_back({"s", "k", "digest", 201, "/l", "body", Instant{1}});
  db::RunWrite write;
  write.run = write.row.id = kRun;
  write.row.deleted_at = Instant{1};
  batch.runs.push_back(write);
  ASSERT_TRUE(store->commit(batch).ok());
  ASSERT_TRUE(store->load_run(kRun)->has_value());
  ASSERT_TRUE(blobs->append_log(kRun, 0, 1, 0, {{7, "build", "stdout", "one\n"}}).ok());
  const Instant later = system_clock().now();
  Options options;
  options.housekeeps = false;
  EXPECT_FALSE(housekeep(*store, *blobs, options, later));
  EXPECT_FALSE(store->load_run(kRun)->has_value());
  EXPECT_EQ(blobs->log_size(kRun, 0, 1), 0);
  EXPECT_TRUE(store->get_receipt("s", "k")->has_value());
  options.housekeeps = true;
  EXPECT_FALSE(housekeep(*store, *blobs, options, later));
  EXPECT_FALSE(store->get_receipt("s", "k")->has_value());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mc::conductor
