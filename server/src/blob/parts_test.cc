#include "blob/parts.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/sha256.h"
#include "blob/disk_rig_test.h"

namespace mc::blob {
namespace {
namespace fs = std::filesystem;
constexpr std::string_view kText = "hello world";

class PartsTest : public DiskRig {
 protected:
  static PartsKey key(int attempt = 1, std::string_view bytes = kText) {
    return {{1, 2}, 0, attempt, "sha256:" + sha256_hex(bytes)};
  }
  // Where the upload stands afterwards.
  Result<std::int64_t> send(const PartsKey& to, std::int64_t offset, std::string_view bytes,
                            std::size_t size = kText.size()) {
    auto part = store_->resume(to, offset, static_cast<std::int64_t>(size));
    if (!part) return part.error();
    if (Status written = (*part)->write(bytes); !written) return written.error();
    return (*part)->finish();
  }
  bool is_swept() { return fs::is_empty(folder_ + "/parts"); }
};

TEST_F(PartsTest, ABlobIsThereWhenItsLastPartIs) {
  EXPECT_EQ(store_->arrived(key()), 0);
  EXPECT_EQ(*send(key(), 0, "hello "), 6);
  EXPECT_EQ(store_->arrived(key()), 6);
  EXPECT_FALSE(store_->has(key().digest));
  EXPECT_EQ(*send(key(), 6, "world"), 11);
  ASSERT_TRUE(store_->has(key().digest));
  EXPECT_EQ(*read_file(store_->open(key().digest)->path, 100), kText);
  EXPECT_TRUE(is_swept());
}

TEST_F(PartsTest, OnlyTheRightPlaceIsGoneOnWith) {
  EXPECT_EQ(send(key(), 6, "world").error().code, Code::conflict);
  EXPECT_TRUE(is_swept());
  ASSERT_TRUE(send(key(), 0, "hello ").ok());
  EXPECT_EQ(send(key(), 0, "hello ").error().code, Code::conflict);
  EXPECT_EQ(send(key(), 7, "orld").error().code, Code::conflict);
  EXPECT_EQ(send(key(), 6, "world and more").error().code, Code::invalid_field);
  EXPECT_EQ(store_->arrived(key()), 6);
  PartsKey none = key();
  none.digest = "sha256:../../etc/passwd";
  EXPECT_EQ(send(none, 0, "x").error().code, Code::invalid_field);
  EXPECT_EQ(store_->arrived(none), 0);
}

TEST_F(PartsTest, WhatArrivedBeforeAPartBrokeOffStaysOverARestart) {
  {
    auto part = store_->resume(key(), 0, 11);
    ASSERT_TRUE((*part)->write("hel").ok());
  }
  EXPECT_EQ(store_->arrived(key()), 3);
  reopen();
  EXPECT_EQ(store_->arrived(key()), 3);
  EXPECT_EQ(*send(key(), 3, "lo"), 5);
  EXPECT_EQ(*send(key(), 5, " world"), 11);
  EXPECT_TRUE(store_->has(key().digest));
}

// The last answer was lost with the server: there is nothing more to send.
TEST_F(PartsTest, AnEmptyPartEndsWhatHasArrived) {
  {
    auto part = store_->resume(key(), 0, 11);
    ASSERT_TRUE((*part)->write(kText).ok());
  }
  reopen();
  EXPECT_EQ(store_->arrived(key()), 11);
  EXPECT_EQ(*send(key(), 11, ""), 11);
  EXPECT_TRUE(store_->has(key().digest));
}

TEST_F(PartsTest, AnotherDigestIsRefusedAndNothingOfItStays) {
  ASSERT_TRUE(send(key(), 0, "hello ").ok());
  EXPECT_EQ(send(key(), 6, "earth").error().code, Code::invalid_field);
  EXPECT_FALSE(store_->has(key().digest));
  EXPECT_EQ(store_->arrived(key()), 0);
  EXPECT_TRUE(is_swept());
  EXPECT_EQ(*send(key(), 0, kText), 11);
}

TEST_F(PartsTest, ALaterRequestTakesOverFromOneThatHangs) {
  auto hanging = store_->resume(key(), 0, 11);
  ASSERT_TRUE((*hanging)->write("hello").ok());
  EXPECT_EQ(store_->arrived(key()), 5);
  EXPECT_EQ((*hanging)->write(" earth").error().code, Code::conflict);
  EXPECT_EQ((*hanging)->finish().error().code, Code::conflict);
  EXPECT_EQ(*send(key(), 5, " world"), 11);
  EXPECT_EQ((*hanging)->write("x").error().code, Code::conflict);
  EXPECT_EQ(*read_file(store_->open(key().digest)->path, 100), kText);
}

TEST_F(PartsTest, TwoWhoUploadTheSameHaveNothingToDoWithEachOther) {
  ASSERT_TRUE(send(key(1), 0, "wrong ").ok());
  ASSERT_TRUE(send(key(2), 0, "hello ").ok());
  EXPECT_EQ(*send(key(2), 6, "world"), 11);
  EXPECT_EQ(send(key(1), 6, "world").error().code, Code::invalid_field);
  EXPECT_EQ(*send(key(3), 0, kText), 11) << "known by now";
  EXPECT_EQ(*read_file(store_->open(key().digest)->path, 100), kText);
  EXPECT_TRUE(is_swept());
}

TEST_F(PartsTest, ADiskWithoutRoomForAllSaysSoAtTheFirstPart) {
  const auto refused = send(key(), 0, "hello ", std::size_t{1} << 60);
  EXPECT_EQ(refused.error().code, Code::store_failed);
  EXPECT_TRUE(is_swept());
  EXPECT_EQ(*send(key(), 0, kText), 11);
}

TEST_F(PartsTest, WhatNobodyGoesOnWithIsDroppedAndWhatIsUnderWayStays) {
  ASSERT_TRUE(send(key(1), 0, "hello ").ok());
  auto under_way = store_->resume(key(2), 0, 11);
  ASSERT_TRUE((*under_way)->write("hello ").ok());
  const Instant now = system_clock().now();
  ASSERT_TRUE(store_->drop_uploads(now - Millis(60'000)).ok());
  EXPECT_EQ(store_->arrived(key(1)), 6);
  ASSERT_TRUE(store_->drop_uploads(now + Millis(60'000)).ok());
  EXPECT_EQ(store_->arrived(key(1)), 0);
  ASSERT_TRUE((*under_way)->write("world").ok());
  EXPECT_EQ(*(*under_way)->finish(), 11);
}

TEST_F(PartsTest, BeyondTheLimitTheForgottenMakeRoom) {
  for (std::size_t i = 0; i < Parts::kUploadsMax; ++i)
    ASSERT_TRUE(write_file(folder_ + "/parts/other" + std::to_string(i), "x").ok());
  EXPECT_EQ(send(key(), 0, "hello ").error().code, Code::overloaded);
  const std::string old = folder_ + "/parts/other7";
  const auto long_ago = fs::file_time_type::clock::now() - 2 * Parts::kIdle;
  fs::last_write_time(old, long_ago);
  EXPECT_EQ(*send(key(), 0, "hello "), 6);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_EQ(*send(key(), 6, "world"), 11) << "one that has begun goes on";
}

}  // namespace
}  // namespace mc::blob
