// Several stores on one folder at once, as the shards of a cluster have it: none is alone there.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <barrier>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/sha256.h"
#include "blob/disk_rig_test.h"
#include "blob/parts.h"

namespace mc::blob {
namespace {
namespace fs = std::filesystem;
using std::chrono::hours;

std::string digest_of(std::string_view bytes) { return "sha256:" + sha256_hex(bytes); }

void age(const std::string& path, hours by) {
  fs::last_write_time(path, fs::file_time_type::clock::now() - by);
}

class Sharing : public DiskRig {
 protected:
  void SetUp() override {
    DiskRig::SetUp();
    other_ = open_another();
  }
  std::unique_ptr<BlobStore> open_another() {
    auto opened = open_disk(folder_);
    EXPECT_TRUE(opened.ok());
    return std::move(*opened);
  }
  static std::string put(BlobStore& store, const std::string& bytes) {
    auto upload = store.begin_upload();
    EXPECT_TRUE((*upload)->write(bytes).ok());
    EXPECT_TRUE((*upload)->finish(digest_of(bytes)).ok());
    return digest_of(bytes);
  }
  std::string read(const std::string& digest) {
    const auto file = store_->open(digest);
    return file.ok() ? *read_file(file->path, 1 << 20) : "";
  }
  std::string parts_file(const PartsKey& key) const {
    return folder_ + "/parts/" + to_string(key.run) + ".0.1." + hex_of_digest(key.digest);
  }
  std::unique_ptr<BlobStore> other_;
};

TEST_F(Sharing, UploadsOfTwoStoresDoNotMix) {
  auto mine = store_->begin_upload();
  auto theirs = other_->begin_upload();
  ASSERT_TRUE(mine.ok() && theirs.ok());
  ASSERT_TRUE((*mine)->write("mine").ok());
  ASSERT_TRUE((*theirs)->write("theirs").ok());
  ASSERT_TRUE((*mine)->finish(digest_of("mine")).ok());
  ASSERT_TRUE((*theirs)->finish(digest_of("theirs")).ok());
  EXPECT_EQ(read(digest_of("mine")), "mine");
  EXPECT_EQ(read(digest_of("theirs")), "theirs");
}

TEST_F(Sharing, WhoOpensTheFolderLeavesUploadsUnderWayAlone) {
  auto upload = store_->begin_upload();
  ASSERT_TRUE((*upload)->write("under way").ok());
  open_another();
  ASSERT_TRUE((*upload)->finish(digest_of("under way")).ok());
  EXPECT_EQ(read(digest_of("under way")), "under way");
}

TEST_F(Sharing, WhatABrokenUploadLeftGoesAfterHours) {
  for (const char* name : {"/tmp/old", "/tmp/young"})
    ASSERT_TRUE(write_file(folder_ + name, "half").ok());
  age(folder_ + "/tmp/old", hours(7));
  open_another();
  EXPECT_FALSE(fs::exists(folder_ + "/tmp/old"));
  EXPECT_TRUE(fs::exists(folder_ + "/tmp/young"));
  age(folder_ + "/tmp/young", hours(7));
  ASSERT_TRUE(store_->drop_uploads(system_clock().now()).ok());
  EXPECT_TRUE(fs::is_empty(folder_ + "/tmp"));
}

TEST_F(Sharing, AnUploadInPartsThatAnotherDroppedBeginsAnew) {
  const PartsKey key{{1, 2}, 0, 1, digest_of("hello world")};
  const auto send = [&](std::int64_t offset, std::string_view bytes) {
    auto part = store_->resume(key, offset, 11);
    return part && (*part)->write(bytes) && (*part)->finish();
  };
  ASSERT_TRUE(send(0, "hello "));
  age(parts_file(key), hours(2));
  ASSERT_TRUE(other_->drop_uploads(system_clock().now() - Millis(1)).ok());
  EXPECT_EQ(store_->arrived(key), 0);
  EXPECT_FALSE(send(6, "world"));
  ASSERT_TRUE(send(0, "hello "));
  ASSERT_TRUE(send(6, "world"));
  EXPECT_EQ(read(key.digest), "hello world");
}

TEST_F(Sharing, AnUploadWhoseNameAnotherTookIsNotTakenForIt) {
  const PartsKey key{{1, 2}, 0, 1, digest_of("hello world")};
  auto part = store_->resume(key, 0, 11);
  ASSERT_TRUE((*part)->write("hello world").ok());
  fs::remove(parts_file(key));
  auto theirs = other_->resume(key, 0, 11);
  ASSERT_TRUE((*theirs)->write("hell").ok());
  EXPECT_FALSE((*part)->finish().ok());
  EXPECT_FALSE(store_->has(key.digest));
  ASSERT_TRUE((*theirs)->write("o world").ok());
  ASSERT_TRUE((*theirs)->finish().ok());
  EXPECT_EQ(read(key.digest), "hello world");
}

// One store says that it has a blob while another removes it: one of both is told no.
TEST_F(Sharing, WhatIsAskedForWhileItGoesStays) {
  constexpr int kRounds = 200;
  const std::string digest = digest_of("wanted");
  const std::string path = [&] {
    put(*store_, "wanted");
    return store_->open(digest)->path;
  }();
  bool had = false;
  std::barrier turn(2);
  std::jthread asks([&] {
    for (int round = 0; round < kRounds; ++round) {
      turn.arrive_and_wait();
      had = store_->has(digest);
      turn.arrive_and_wait();
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    put(*store_, "wanted");
    age(path, hours(2));
    turn.arrive_and_wait();
    const auto gone = other_->remove_unused(digest, system_clock().now() - Millis(3'600'000));
    turn.arrive_and_wait();
    EXPECT_TRUE(gone.ok());
    if (had) EXPECT_EQ(read(digest), "wanted") << round;
    EXPECT_FALSE(had && gone && *gone) << round;
  }
}

TEST_F(Sharing, ABlobThatWasAboutToGoWhenItsServerDiedIsThere) {
  const std::string path = store_->open(put(*store_, "wanted"))->path;
  const std::string digest = digest_of("wanted");
  const Instant later = system_clock().now() + Millis(60'000);
  fs::rename(path, path + ".going");
  EXPECT_EQ(read(digest), "wanted");
  fs::remove(path);
  EXPECT_TRUE(store_->has(digest));
  fs::remove(path);
  EXPECT_EQ(*store_->list_unused(later, "", 10), std::vector<std::string>{digest});
  EXPECT_FALSE(fs::exists(path + ".going"));
  EXPECT_TRUE(*store_->remove_unused(digest, later));
  EXPECT_TRUE(fs::is_empty(fs::path(path).parent_path()));
}

}  // namespace
}  // namespace mc::blob
