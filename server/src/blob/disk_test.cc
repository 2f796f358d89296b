#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "blob/disk_rig_test.h"

namespace mc::blob {
namespace {
namespace fs = std::filesystem;
constexpr Uuid kRun{1, 2};

class Disk : public DiskRig {
 protected:
  std::int64_t append(std::int64_t offset, const std::string& text,
                      const std::string& step = "build") {
    auto end = store_->append_log(kRun, 0, 1, offset, {{7, step, "stdout", text}});
    return end.ok() ? *end : -1;
  }
  std::string text(std::int64_t bytes_max = 5) {
    std::string all;
    for (std::int64_t at = 0;;) {
      auto read = store_->read_log(kRun, 0, 1, at, bytes_max);
      if (!read.ok() || read->pieces.empty()) return all;
      for (const LogPiece& piece : read->pieces) all += piece.text;
      at = read->next_offset;
    }
  }
  std::vector<LogPiece> pieces() { return store_->read_log(kRun, 0, 1, 0, 1 << 20)->pieces; }
  std::string log_path(const std::string& ending) {
    return folder_ + "/logs/" + to_string(kRun) + "/0.1." + ending;
  }
};

std::string digest_of(std::string_view bytes) { return "sha256:" + sha256_hex(bytes); }

TEST_F(Disk, AnUploadIsThereOnlyWhenFinishedWithTheRightDigest) {
  const std::string digest = digest_of("hello world");
  {
    auto upload = store_->begin_upload();
    ASSERT_TRUE((*upload)->write("hello ").ok());
    ASSERT_TRUE((*upload)->write("world").ok());
    EXPECT_FALSE(store_->has(digest));
    ASSERT_TRUE((*upload)->finish(digest).ok());
  }
  ASSERT_TRUE(store_->has(digest));
  EXPECT_EQ(store_->open(digest)->size, 11);
  EXPECT_EQ(*read_file(store_->open(digest)->path, 100), "hello world");
  auto wrong = store_->begin_upload();
  ASSERT_TRUE((*wrong)->write("x").ok());
  EXPECT_EQ((*wrong)->finish(digest).error().code, Code::invalid_field);
  wrong->reset();
  EXPECT_TRUE(fs::is_empty(folder_ + "/tmp"));
  const Instant later = system_clock().now() + Millis(60'000);
  EXPECT_TRUE(*store_->remove_unused(digest, later));
  EXPECT_FALSE(store_->has(digest));
  EXPECT_FALSE(*store_->remove_unused(digest, later));
}

TEST_F(Disk, OnlyDigestsNameBlobs) {
  for (const char* bad : {"", "sha256:", "sha256:../../../etc/passwd", "md5:00", "sha256:ABCDEF"}) {
    EXPECT_FALSE(store_->has(bad)) << bad;
    EXPECT_EQ(store_->open(bad).error().code, Code::not_found) << bad;
    EXPECT_FALSE(*store_->remove_unused(bad, system_clock().now())) << bad;
  }
}

TEST_F(Disk, TheSameBlobMayBeUploadedTwiceAtOnce) {
  auto one = store_->begin_upload();
  auto two = store_->begin_upload();
  ASSERT_TRUE((*one)->write("same").ok());
  ASSERT_TRUE((*two)->write("same").ok());
  EXPECT_TRUE((*one)->finish(digest_of("same")).ok());
  EXPECT_TRUE((*two)->finish(digest_of("same")).ok());
}

TEST_F(Disk, AClosedStoreTakesNothingMore) {
  ASSERT_EQ(append(0, "one"), 3);
  ASSERT_TRUE(store_->close().ok());
  EXPECT_EQ(store_->begin_upload().error().code, Code::unavailable);
  EXPECT_EQ(store_->resume({kRun, 0, 1, digest_of("x")}, 0, 1).error().code, Code::unavailable);
  EXPECT_EQ(append(3, "two"), -1);
  // To read a log is to open it, and that is to mend it beside who leads next.
  EXPECT_EQ(store_->read_log(kRun, 0, 1, 0, 100).error().code, Code::unavailable);
  store_ = std::move(*open_disk(folder_));
  EXPECT_EQ(text(), "one");
}

TEST_F(Disk, RepeatsAndOverlapsAreCutAndGapsRefused) {
  EXPECT_EQ(append(0, "hello"), 5);
  EXPECT_EQ(append(0, "hello"), 5);
  EXPECT_EQ(append(3, "lo, world"), 12);
  EXPECT_EQ(store_->append_log(kRun, 0, 1, 13, {{7, "s", "stdout", "x"}}).error().code,
            Code::invalid_field);
  EXPECT_EQ(store_->append_log(kRun, 0, 1, -1, {{7, "s", "stdout", "x"}}).error().code,
            Code::invalid_field);
  EXPECT_EQ(text(), "hello, world");
  EXPECT_EQ(store_->log_size(kRun, 0, 1), 12);
}

TEST_F(Disk, EveryWayOfCuttingARepeatGivesTheSameText) {
  const std::string whole = "the quick brown fox jumps over the lazy dog";
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Rng rng(seed);
    ASSERT_TRUE(store_->remove_logs(kRun).ok());
    std::int64_t end = 0;
    while (end < static_cast<std::int64_t>(whole.size())) {
      const std::int64_t from =
          end - static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(end) + 1));
      std::vector<LogPiece> pieces;
      std::size_t at = static_cast<std::size_t>(from);
      for (std::uint64_t i = rng.below(4) + 1; i > 0; --i) {
        const std::size_t n = rng.below(12);
        pieces.push_back(
            {1, "s" + std::to_string(i), "stdout", whole.substr(std::min(at, whole.size()), n)});
        at += pieces.back().text.size();
      }
      auto next = store_->append_log(kRun, 0, 1, from, pieces);
      ASSERT_TRUE(next.ok()) << "seed " << seed;
      ASSERT_GE(*next, end);
      end = *next;
    }
    ASSERT_EQ(text(static_cast<std::int64_t>(rng.below(9)) + 1), whole) << "seed " << seed;
  }
}

TEST_F(Disk, PiecesKeepTimeStepAndStream) {
  ASSERT_TRUE(
      store_->append_log(kRun, 0, 1, 0, {{5, "a", "stdout", "one\n"}, {6, "b", "stderr", "two\n"}})
          .ok());
  const auto got = pieces();
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[1].t, 6);
  EXPECT_EQ(got[1].step, "b");
  EXPECT_EQ(got[1].stream, "stderr");
  EXPECT_EQ(store_->read_log(kRun, 0, 1, 2, 4)->pieces.at(0).text, "e\n");
}

TEST_F(Disk, ATornIndexCostsTheStepsNeverTheText) {
  ASSERT_EQ(append(0, "first\n", "a"), 6);
  ASSERT_EQ(append(6, "second\n", "b"), 13);
  const auto whole = *read_file(log_path("idx"), 1 << 20);
  for (std::size_t keep = 0; keep <= whole.size(); ++keep) {
    store_.reset();
    ASSERT_TRUE(write_file(log_path("idx"), whole.substr(0, keep)).ok());
    reopen();
    ASSERT_EQ(text(), "first\nsecond\n") << keep;
    ASSERT_EQ(append(13, "third\n", "c"), 19) << keep;
    ASSERT_EQ(pieces().back().step, "c") << keep;
    ASSERT_EQ(pieces().back().text, "third\n") << keep;
    store_.reset();
    fs::resize_file(log_path("log"), 13);
  }
}

TEST_F(Disk, TextThatTheDiskLostIsReplacedByANoticeOfItsLength) {
  const std::string second(120, 'x');
  const std::string whole = "first\n" + second + "\n";
  const auto size = static_cast<std::int64_t>(whole.size());
  for (std::size_t keep = 0; keep < whole.size(); ++keep) {
    ASSERT_EQ(append(0, "first\n", "a"), 6);
    ASSERT_EQ(append(6, second + "\n", "b"), size);
    store_.reset();
    fs::resize_file(log_path("log"), keep);
    reopen();
    const std::string found = text();
    ASSERT_EQ(found.size(), whole.size()) << keep;
    ASSERT_EQ(found.substr(0, keep), whole.substr(0, keep));
    ASSERT_TRUE(found.ends_with("\n"));
    const std::size_t lost = whole.size() - keep;
    if (lost > 80) {
      ASSERT_NE(found.find("[maestro: " + std::to_string(lost) + " bytes of this log were lost"),
                std::string::npos)
          << found;
    }
    // A worker that goes on where it was is not refused, and places stay right.
    ASSERT_EQ(append(size, "on", "c"), size + 2);
    ASSERT_EQ(pieces().back().text, "on");
    ASSERT_TRUE(store_->remove_logs(kRun).ok());
  }
}

TEST_F(Disk, AnIndexThatClaimsTheImpossibleCostsTheStepsOnly) {
  ASSERT_EQ(append(0, "first\n", "a"), 6);
  store_.reset();
  const auto index = *read_file(log_path("idx"), 1 << 20);
  ASSERT_TRUE(
      write_file(log_path("idx"),
                 index + R"({"o":6,"n":1152921504606846976,"t":7,"s":"b","c":"stdout"})" + "\n")
          .ok());
  reopen();
  EXPECT_EQ(text(), "first\n");
  EXPECT_EQ(append(6, "second\n"), 13);
}

TEST_F(Disk, ATailOfZerosInTheIndexCostsTheStepsNeverTheText) {
  ASSERT_EQ(append(0, "first\n", "a"), 6);
  ASSERT_EQ(append(6, "second\n", "b"), 13);
  const auto whole = *read_file(log_path("idx"), 1 << 20);
  for (std::size_t keep = 0; keep <= whole.size(); keep += 7) {
    store_.reset();
    ASSERT_TRUE(write_file(log_path("idx"), whole.substr(0, keep) + std::string(4096, '\0')).ok());
    reopen();
    ASSERT_EQ(text(), "first\nsecond\n") << keep;
  }
}

TEST_F(Disk, ALogWithManyPiecesIsReadFromAnywhere) {
  constexpr int kPieces = 3000;
  std::vector<LogPiece> batch;
  for (int i = 0; i < kPieces; ++i)
    batch.push_back({i, "s" + std::to_string(i % 7), "stdout", "line\n"});
  ASSERT_TRUE(store_->append_log(kRun, 0, 1, 0, batch).ok());
  for (int i = 0; i < kPieces; i += 97) {
    const auto read = store_->read_log(kRun, 0, 1, i * 5, 5);
    ASSERT_EQ(read->pieces.size(), 1U);
    ASSERT_EQ(read->pieces[0].t, i);
    ASSERT_EQ(read->next_offset, i * 5 + 5);
  }
}

TEST_F(Disk, WhatWasNeverLoggedIsEmpty) {
  EXPECT_TRUE(store_->read_log(kRun, 9, 1, 0, 10)->pieces.empty());
  EXPECT_EQ(store_->log_size(kRun, 9, 1), 0);
  EXPECT_EQ(store_->log_file(kRun, 9, 1).error().code, Code::not_found);
  EXPECT_FALSE(fs::exists(folder_ + "/logs/" + to_string(kRun)));
}

TEST_F(Disk, ManyThreadsAppendToMoreLogsThanStayOpen) {
  constexpr std::uint32_t kLogs = 300;
  std::vector<std::jthread> threads;
  std::atomic<int> failures{0};
  for (std::uint32_t part = 0; part < 4; ++part) {
    threads.emplace_back([&, part] {
      for (int round = 0; round < 3; ++round) {
        for (std::uint32_t node = part; node < kLogs; node += 4) {
          if (!store_->append_log(kRun, node, 1, round * 2, {{0, "s", "stdout", "x\n"}}).ok())
            ++failures;
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(failures, 0);
  for (std::uint32_t node = 0; node < kLogs; ++node) ASSERT_EQ(store_->log_size(kRun, node, 1), 6);
}

TEST_F(Disk, ManyWatchersHearOfTheirOwnRunOnly) {
  int heard = 0;
  int other = 0;
  std::vector<std::uint64_t> tickets;
  for (int i = 0; i < 500; ++i)
    tickets.push_back(store_->watch_logs(kRun, [&](std::uint32_t, int) { ++heard; }));
  store_->watch_logs(Uuid{3, 4}, [&](std::uint32_t, int) { ++other; });
  append(0, "x");
  EXPECT_EQ(heard, 500);
  for (const std::uint64_t ticket : tickets) store_->unwatch_logs(ticket);
  append(1, "y");
  EXPECT_EQ(heard, 500);
  EXPECT_EQ(other, 0);
}

TEST_F(Disk, AWatcherMayRemoveItself) {
  std::uint64_t ticket = 0;
  int calls = 0;
  ticket = store_->watch_logs(kRun, [&](std::uint32_t, int) {
    ++calls;
    store_->unwatch_logs(ticket);
  });
  append(0, "x");
  append(1, "y");
  EXPECT_EQ(calls, 1);
}

TEST_F(Disk, RemovedLogsAreGone) {
  append(0, "x");
  ASSERT_TRUE(store_->remove_logs(kRun).ok());
  EXPECT_EQ(store_->log_size(kRun, 0, 1), 0);
  EXPECT_TRUE(store_->remove_logs(kRun).ok());
}

}  // namespace
}  // namespace mc::blob
