// Against a real S3 server, which MC_TEST_S3 names: "http://HOST:PORT BUCKET KEY SECRET", with an
// optional "virtual" behind it. Each test has a prefix of its own. README.md says how to start one.
#include <gtest/gtest.h>
#include <unistd.h>

#include <barrier>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "blob/s3/put_file.h"
#include "blob/s3/s3_store.h"

namespace mc::blob {
namespace {
namespace fs = std::filesystem;
constexpr Uuid kRun{1, 2};

class RealS3 : public testing::Test {
 protected:
  void SetUp() override {
    // tidy: allow banned: where the test's server is; not a setting of the product
    const char* named = ::getenv("MC_TEST_S3");
    ASSERT_NE(named, nullptr) << "MC_TEST_S3 names no S3 server (blob/s3/README.md)";
    const std::vector<std::string> words = split(named, ' ');
    ASSERT_GE(words.size(), 4U);
    std::string pattern = fs::temp_directory_path().string() + "/mc_s3_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    settings_.place = {
        .endpoint = words[0],
        .bucket = words[1],
        .key = {.access_key_id = words[2], .secret_access_key = words[3], .region = "us-east-1"},
        .virtual_host = words.size() > 4,
        .prefix = "test" + folder_ + "/"};
    settings_.logs.interval = Millis(200);
    reopen();
  }
  void TearDown() override {
    store_.reset();
    if (!folder_.empty()) fs::remove_all(folder_);
  }
  // As another machine: with an empty folder, and as the next leader.
  void reopen() {
    store_.reset();
    ++settings_.logs.epoch;
    settings_.folder = folder_ + "/" + std::to_string(settings_.logs.epoch);
    auto opened = open_s3(settings_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store_ = std::move(*opened);
  }
  std::string put(const std::string& bytes) { return put(*store_, bytes); }
  static std::string put(BlobStore& store, const std::string& bytes) {
    std::string digest = "sha256:" + sha256_hex(bytes);
    auto upload = store.begin_upload();
    EXPECT_TRUE((*upload)->write(bytes).ok());
    const Status kept = (*upload)->finish(digest);
    EXPECT_TRUE(kept.ok()) << kept.error().message;
    return digest;
  }
  std::string refusal(S3Settings settings) {
    settings.logs.epoch = 0;  // only who is alone asks S3 before all else
    const auto opened = open_s3(settings);
    return opened.ok() ? "" : opened.error().message;
  }

  std::string folder_;
  S3Settings settings_;
  std::unique_ptr<BlobStore> store_;
};

TEST_F(RealS3, BlobsOutliveTheFolder) {
  const std::string small = put("hello world");
  const std::string large(20'000'000, 'x');
  const std::string digest = put(large);
  reopen();
  ASSERT_TRUE(store_->has(small));
  EXPECT_EQ(*read_file(store_->open(small)->path, 100), "hello world");
  const auto file = store_->open(digest);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*read_file(file->path, large.size()), large);
}

TEST_F(RealS3, AnUploadGoesOnWithThePartsThatTheServerHas) {
  S3Client client(settings_.place);
  const std::string bytes(20'000'000, 'y');
  ASSERT_TRUE(write_file(folder_ + "/file", bytes).ok());
  const std::string key = "sha256/" + sha256_hex(bytes);
  const auto id = client.begin_upload(key);
  ASSERT_TRUE(id.ok()) << id.error().message;
  ASSERT_TRUE(client.put_part({key, *id, {}}, 1, bytes.substr(0, kPartBytes)).ok());
  ASSERT_EQ(client.parts({key, *id, {}})->size(), 1U);
  const Status sent =
      put_file(client, key, folder_ + "/file", static_cast<std::int64_t>(bytes.size()));
  ASSERT_TRUE(sent.ok()) << sent.error().message;
  EXPECT_EQ(client.head(key)->size, 20'000'000);
  EXPECT_TRUE(client.uploads("sha256/")->empty()) << "it was completed, not begun anew";
}

TEST_F(RealS3, WhatIsUnusedGoesAndWhatIsUsedStays) {
  const std::string digest = put("unused");
  const Instant past = system_clock().now() - Millis(60'000);
  const Instant future = system_clock().now() + Millis(60'000);
  EXPECT_TRUE(store_->list_unused(past, "", 10)->empty());
  EXPECT_FALSE(*store_->remove_unused(digest, past));
  EXPECT_EQ(*store_->list_unused(future, "", 10), std::vector<std::string>{digest});
  EXPECT_TRUE(*store_->remove_unused(digest, future));
  EXPECT_FALSE(store_->has(digest));
  EXPECT_EQ(store_->open(digest).error().code, Code::not_found);
}

// One store says that it has a blob while another, as on another machine, removes it.
TEST_F(RealS3, WhatIsAskedForWhileItGoesStays) {
  settings_.young = Millis(0);
  reopen();
  const std::unique_ptr<BlobStore> asked = std::move(store_);
  reopen();
  constexpr int kBlobs = 40;
  std::vector<std::string> digests;
  for (int i = 0; i < kBlobs; ++i) digests.push_back(put(*asked, "wanted " + std::to_string(i)));
  // S3 knows no parts of a second.
  const Instant before{(system_clock().now().ms / 1000 + 1) * 1000};
  while (system_clock().now() < before) std::this_thread::yield();
  std::vector<char> had(kBlobs);
  std::barrier turn(2);
  std::jthread asks([&] {
    for (std::size_t i = 0; i < kBlobs; ++i) {
      turn.arrive_and_wait();
      had[i] = i % 4 == 3 ? put(*asked, "wanted " + std::to_string(i)) == digests[i]
                          : asked->has(digests[i]);
    }
  });
  for (std::size_t i = 0; i < kBlobs; ++i) {
    turn.arrive_and_wait();
    EXPECT_TRUE(store_->remove_unused(digests[i], before).ok());
  }
  asks.join();
  S3Client client(settings_.place);
  for (std::size_t i = 0; i < kBlobs; ++i) {
    const bool there = client.head("sha256/" + hex_of_digest(digests[i])).ok();
    EXPECT_TRUE(there || !had[i]) << i;
  }
  EXPECT_TRUE(client.list("doomed/", "", 10)->empty());
}

TEST_F(RealS3, SeveralMaySendTheSameAtOnce) {
  const std::string bytes(30'000'000, 'z');
  std::vector<std::unique_ptr<BlobStore>> stores;
  for (int i = 0; i < 3; ++i) {
    stores.push_back(std::move(store_));
    reopen();
  }
  std::vector<std::jthread> threads;
  for (const auto& store : stores) threads.emplace_back([&] { put(*store, bytes); });
  threads.clear();
  EXPECT_EQ(store_->open("sha256:" + sha256_hex(bytes))->size, 30'000'000);
}

TEST_F(RealS3, ARenewedObjectIsTheSameAndYoung) {
  const std::string digest = put("asked for again");
  S3Client client(settings_.place);
  const std::string key = "sha256/" + hex_of_digest(digest);
  const Status renewed = client.renew(key);
  ASSERT_TRUE(renewed.ok()) << renewed.error().message;
  reopen();
  EXPECT_EQ(*read_file(store_->open(digest)->path, 100), "asked for again");
  EXPECT_EQ(client.renew("sha256/none").error().code, Code::not_found);
}

TEST_F(RealS3, LogsOutliveTheFolderAndGoOn) {
  const auto append = [&](std::int64_t offset, const std::string& text) {
    auto end = store_->append_log(kRun, 0, 1, offset, {{7, "build", "stdout", text}});
    return end.ok() ? *end : -1;
  };
  ASSERT_EQ(append(0, "one\n"), 4);
  reopen();
  EXPECT_EQ(store_->append_log(kRun, 0, 1, 9, {{7, "s", "stdout", "x"}}).error().code,
            Code::invalid_field);
  EXPECT_EQ(*store_->append_log(kRun, 0, 1, 0, {}), 4) << "where a worker goes on";
  ASSERT_EQ(append(4, "two\n"), 8);
  reopen();
  const auto read = store_->read_log(kRun, 0, 1, 0, 100);
  ASSERT_TRUE(read.ok() && read->pieces.size() == 2);
  EXPECT_EQ(read->pieces[0].text + read->pieces[1].text, "one\ntwo\n");
  EXPECT_EQ(read->pieces[1].step, "build");
}

TEST_F(RealS3, TheEndOfALogIsThereWhenTheStoreIsClosed) {
  settings_.logs.interval = Millis(3'600'000);
  reopen();
  const std::vector<LogPiece> line{{7, "build", "stdout", "one\n"}};
  ASSERT_TRUE(store_->append_log(kRun, 0, 1, 0, line).ok());
  const std::unique_ptr<BlobStore> before = std::move(store_);
  ASSERT_TRUE(before->close().ok());
  reopen();
  EXPECT_EQ(store_->log_size(kRun, 0, 1), 4);
  EXPECT_EQ(before->append_log(kRun, 0, 1, 4, line).error().code, Code::unavailable);
  EXPECT_EQ(before->begin_upload().error().code, Code::unavailable);
  EXPECT_TRUE(before->close().ok());
}

TEST_F(RealS3, ALogEndsBeforeADamagedSegmentAndGoesOn) {
  const auto append = [&](std::int64_t offset, const std::string& text) {
    return store_->append_log(kRun, 0, 1, offset, {{7, "build", "stdout", text}}).ok();
  };
  for (int leader = 0; leader < 3; ++leader) {
    ASSERT_TRUE(append(4 * leader, "one\n"));
    reopen();
  }
  S3Client client(settings_.place);
  const auto segments = client.list("logs/", "", 10);
  ASSERT_EQ(segments->size(), 3U);
  ASSERT_TRUE(client.put((*segments)[1].key, "{not a segment").ok());
  const auto read = store_->read_log(kRun, 0, 1, 0, 100);
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->pieces.size(), 1U);
  ASSERT_TRUE(append(4, "two\n"));
  reopen();
  EXPECT_EQ(store_->read_log(kRun, 0, 1, 4, 100)->pieces.at(0).text, "two\n");
}

TEST_F(RealS3, TheLogsOfARunGoAndThoseOfAnotherStay) {
  const std::vector<LogPiece> line{{7, "build", "stdout", "one\n"}};
  const Uuid other{3, 4};
  ASSERT_TRUE(store_->append_log(kRun, 0, 1, 0, line).ok());
  ASSERT_TRUE(store_->append_log(other, 0, 1, 0, line).ok());
  reopen();
  S3Client client(settings_.place);
  ASSERT_EQ(client.list("logs/", "", 10)->size(), 2U);
  ASSERT_TRUE(store_->remove_logs(kRun).ok());
  const auto gone = [&] { return client.list("logs/" + to_string(kRun), "", 10)->empty(); };
  for (int look = 0; look < 10'000 && !gone(); ++look) std::this_thread::yield();
  EXPECT_TRUE(gone());
  EXPECT_EQ(client.list("logs/" + to_string(other), "", 10)->size(), 1U);
  EXPECT_EQ(store_->log_size(kRun, 0, 1), 0);
}

TEST_F(RealS3, WrongSettingsAreRefusedWithWhatToMend) {
  S3Settings wrong = settings_;
  wrong.place.key.secret_access_key = "not-the-secret";
  EXPECT_NE(refusal(wrong).find("S3_SECRET_ACCESS_KEY"), std::string::npos) << refusal(wrong);
  EXPECT_EQ(refusal(wrong).find("not-the-secret"), std::string::npos);
  wrong = settings_;
  wrong.place.bucket = "no-such-bucket";
  EXPECT_NE(refusal(wrong).find("S3_BUCKET"), std::string::npos) << refusal(wrong);
  wrong = settings_;
  wrong.place.endpoint = "http://127.0.0.1:1";
  wrong.place.attempts = 1;
  EXPECT_NE(refusal(wrong).find("S3_ENDPOINT"), std::string::npos) << refusal(wrong);
}

}  // namespace
}  // namespace mc::blob
