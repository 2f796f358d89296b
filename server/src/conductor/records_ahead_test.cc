#include "conductor/records_ahead.h"

#include <gtest/gtest.h>

#include "db/faulty/faulty_store.h"
#include "db/memory/memory_store.h"

namespace mc::conductor {
namespace {

class RecordsAheadTest : public testing::Test {
 protected:
  // Durable, and known to be.
  void write(std::optional<std::string> json) {
    db::Batch batch;
    ahead.put(batch.records, {"kind", "key", std::move(json), std::nullopt});
    ahead.sent();
    ASSERT_TRUE(store.commit(batch).ok());
    ahead.landed(batch.records);
  }
  std::optional<std::string> read() { return *ahead.get("kind", "key"); }
  // From memory, or not at all.
  bool remembers() {
    store.arm(1, db::Fault::fail_read);
    const bool found = ahead.get("kind", "key").ok();
    store.disarm();
    return found;
  }

  std::unique_ptr<db::Store> memory = db::make_memory_store();
  db::FaultyStore store{*memory};
  RecordsAhead ahead{store};
};

TEST_F(RecordsAheadTest, WhatWasReadIsRememberedUntilItChanges) {
  EXPECT_EQ(read(), std::nullopt);
  EXPECT_FALSE(remembers());  // that there is none
  write("1");
  EXPECT_FALSE(remembers());
  EXPECT_EQ(read(), "1");
  EXPECT_TRUE(remembers());
  write("2");
  EXPECT_EQ(read(), "2");
  write(std::nullopt);
  EXPECT_EQ(read(), std::nullopt);
}

TEST_F(RecordsAheadTest, WhatIsOnItsWayIsReadFirst) {
  write("1");
  ASSERT_EQ(read(), "1");
  db::Batch first, second;
  ahead.put(first.records, {"kind", "key", "2", std::nullopt});
  EXPECT_EQ(read(), "2");
  ahead.sent();
  ahead.put(second.records, {"kind", "key", "3", std::nullopt});
  ahead.landed(first.records);
  EXPECT_EQ(read(), "3");
  ahead.clear();
  EXPECT_EQ(read(), "1");
}

TEST_F(RecordsAheadTest, NothingIsRememberedOfWhatWasLost) {
  write("1");
  ASSERT_EQ(read(), "1");
  ahead.clear();
  EXPECT_FALSE(remembers());
}

TEST_F(RecordsAheadTest, LongOnesAreReadEachTime) {
  const std::string text(5'000, 'x');
  write(text);
  EXPECT_EQ(read(), text);
  EXPECT_FALSE(remembers());
}

}  // namespace
}  // namespace mc::conductor
