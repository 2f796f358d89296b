#include "worker/log_pump.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <thread>

namespace mc::worker {
namespace {
using testing::HasSubstr;
constexpr auto kPatience = std::chrono::seconds(30);

// What a server would hold of the log; may fail first.
struct Sink {
  std::mutex mutex;
  std::condition_variable changed;
  std::string text;
  int failures = 0;
  int calls = 0;
  Code failure = Code::unreachable;
  std::size_t lose_once_to = std::string::npos;  // the server dies and keeps only so much

  SendLog send() {
    return [this](std::int64_t offset,
                  const std::vector<wire::LogChunk>& chunks) -> Result<std::int64_t> {
      const std::scoped_lock lock(mutex);
      ++calls;
      changed.notify_all();
      if (failures > 0) {
        --failures;
        return Error{failure, "no", {}};
      }
      if (offset > static_cast<std::int64_t>(text.size()))
        return Error{Code::invalid_field, "a gap", {}};
      std::string given;
      for (const auto& chunk : chunks) given += chunk.text;
      const std::size_t repeated = text.size() - static_cast<std::size_t>(offset);
      if (repeated < given.size()) text += given.substr(repeated);
      const auto end = static_cast<std::int64_t>(text.size());
      if (lose_once_to < text.size()) text.resize(std::exchange(lose_once_to, std::string::npos));
      changed.notify_all();
      return end;
    };
  }
  bool wait_for(const std::string& part) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kPatience, [&] { return text.find(part) != std::string::npos; });
  }
};

struct Ends {
  Fd read, write;
  Ends() {
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) != 0) ADD_FAILURE() << "no pipe";
    read = Fd(fds[0]);
    write = Fd(fds[1]);
  }
};

LogOptions quick() {
  return {.batch_time = std::chrono::milliseconds(5),
          .retry_first = std::chrono::milliseconds(1),
          .retry_max = std::chrono::milliseconds(5)};
}

TEST(LogPump, TextArrivesWhileTheStepRuns) {
  Sink sink;
  LogPump pump(sink.send(), {}, quick());
  Ends pipe;
  pump.add(std::move(pipe.read), "s", "stdout");
  ASSERT_TRUE(write_all(pipe.write.get(), "no newline yet").ok());
  EXPECT_TRUE(sink.wait_for("no newline yet"));
}

TEST(LogPump, AWholeBatchWaitsForNoTime) {
  Sink sink;
  LogOptions options = quick();
  options.batch_bytes = 1000;
  options.batch_time = std::chrono::hours(1);
  LogPump pump(sink.send(), {}, options);
  Ends pipe;
  pump.add(std::move(pipe.read), "s", "stdout");
  for (const char* end : {"first", "second", "third"}) {
    ASSERT_TRUE(write_all(pipe.write.get(), std::string(1000, 'x') + end).ok());
    EXPECT_TRUE(sink.wait_for(end));
  }
}

TEST(LogPump, WhatIsLeftWhenTheJobIsOverWaitsForNoTime) {
  Sink sink;
  LogOptions options = quick();
  options.batch_time = std::chrono::hours(1);
  LogPump pump(sink.send(), {}, options);
  pump.say("", "first");
  ASSERT_TRUE(sink.wait_for("first"));
  pump.say("", "last");
  pump.finish();
  EXPECT_EQ(sink.text, "first\nlast\n");
}

TEST(LogPump, FailuresAndRepeatsLoseNothing) {
  Sink sink;
  sink.failures = 7;
  LogPump pump(sink.send(), {}, quick());
  Ends pipe;
  pump.add(std::move(pipe.read), "s", "stdout");
  std::string all;
  std::jthread writer([&] {
    for (int i = 0; i < 3000; ++i) {
      const std::string line = "line " + std::to_string(i) + " " + std::string(1000, 'x') + "\n";
      all += line;
      EXPECT_TRUE(write_all(pipe.write.get(), line).ok());
    }
    pipe.write.close();
  });
  writer.join();
  pump.finish();
  EXPECT_EQ(sink.text, all);
}

TEST(LogPump, SendsAgainWhatANewLeaderLacks) {
  Sink sink;
  sink.lose_once_to = 2;
  LogPump pump(sink.send(), {}, quick());
  pump.say("", "first");
  ASSERT_TRUE(sink.wait_for("fi"));
  {
    std::unique_lock lock(sink.mutex);
    ASSERT_TRUE(sink.changed.wait_for(lock, kPatience,
                                      [&] { return sink.lose_once_to == std::string::npos; }));
  }
  pump.say("", "second");
  pump.finish();
  EXPECT_EQ(sink.text, "first\nsecond\n");
}

TEST(LogPump, WhatIsLostForGoodIsCountedInTheLog) {
  Sink sink;
  LogPump pump(sink.send(), {}, quick());
  Ends pipe;
  pump.add(std::move(pipe.read), "s", "stdout");
  std::string all;
  const auto print = [&](const std::string& line) {
    all += line;
    ASSERT_TRUE(write_all(pipe.write.get(), line).ok());
  };
  const auto arrives = [&](std::size_t size) {
    std::unique_lock lock(sink.mutex);
    return sink.changed.wait_for(lock, kPatience, [&] { return sink.text.size() >= size; });
  };
  for (int i = 0; all.size() < 2 * kSentBytesKept; ++i)
    print("line " + std::to_string(i) + " " + std::string(1000, 'x') + "\n");
  ASSERT_TRUE(arrives(all.size()));
  {
    const std::scoped_lock lock(sink.mutex);
    sink.lose_once_to = 1000;
  }
  print("the server dies with this\n");
  {
    std::unique_lock lock(sink.mutex);
    ASSERT_TRUE(sink.changed.wait_for(lock, kPatience,
                                      [&] { return sink.lose_once_to == std::string::npos; }));
  }
  print("the last line\n");
  pipe.write.close();
  pump.finish();
  EXPECT_EQ(sink.text.substr(0, 1000), all.substr(0, 1000));
  const std::string rest = sink.text.substr(1000);
  const std::string begin = "\n[maestro: ", end = " bytes of the log were lost with a server]\n";
  ASSERT_TRUE(rest.starts_with(begin)) << rest.substr(0, 100);
  const std::string again = rest.substr(rest.find(end) + end.size());
  const std::size_t lost = all.size() - 1000 - again.size();
  EXPECT_THAT(rest, HasSubstr(begin + std::to_string(lost) + end));
  EXPECT_EQ(again, all.substr(all.size() - again.size()));
  EXPECT_GE(again.size(), kSentBytesKept - (64 << 10));
}

TEST(LogPump, AFencedAttemptStopsSending) {
  Sink sink;
  sink.failures = 1;
  sink.failure = Code::fenced;
  LogPump pump(sink.send(), {}, quick());
  pump.say("", "x");
  pump.finish();
  EXPECT_EQ(sink.calls, 1);
  EXPECT_EQ(sink.text, "");
}

TEST(LogPump, TheLimitIsVisibleAndCounted) {
  Sink sink;
  LogOptions options = quick();
  options.bytes_max = 1000;
  LogPump pump(sink.send(), {}, options);
  Ends pipe;
  pump.add(std::move(pipe.read), "s", "stdout");
  ASSERT_TRUE(write_all(pipe.write.get(), std::string(5000, 'x')).ok());
  pipe.write.close();
  pump.settle("s");
  pump.say("", "still heard");
  pump.finish();
  EXPECT_EQ(std::ranges::count(sink.text, 'x'), 1000);
  EXPECT_THAT(sink.text, HasSubstr("the log is over"));
  EXPECT_THAT(sink.text, HasSubstr("4000 bytes of the log were dropped"));
  EXPECT_THAT(sink.text, HasSubstr("still heard"));
}

TEST(LogPump, AServerThatIsAwayBlocksTheJobInsteadOfLosingText) {
  Sink sink;
  sink.failures = 1'000'000;
  LogPump pump(sink.send(), {}, quick());
  Ends pipe;
  pump.add(std::move(pipe.read), "s", "stdout");
  constexpr std::size_t kMore = kPendingBytesMax + (1 << 20);
  std::atomic<bool> written{false};
  std::jthread writer([&] {
    EXPECT_TRUE(write_all(pipe.write.get(), std::string(kMore, 'x')).ok());
    written = true;
    pipe.write.close();
  });
  {
    std::unique_lock lock(sink.mutex);
    ASSERT_TRUE(sink.changed.wait_for(lock, kPatience, [&] { return sink.calls > 0; }) ||
                sink.calls > 0);
    EXPECT_FALSE(written);
    sink.failures = 0;
  }
  writer.join();
  pump.finish();
  EXPECT_EQ(sink.text.size(), kMore);
}

TEST(LogPump, SettleReturnsWhenTheStepsTextIsTakenIn) {
  Sink sink;
  LogPump pump(sink.send(), {}, quick());
  for (int i = 0; i < 50; ++i) {
    Ends pipe;
    const std::string step = std::to_string(i);
    pump.add(std::move(pipe.read), step, "stdout");
    ASSERT_TRUE(write_all(pipe.write.get(), "::notice::" + step + "\n").ok());
    pipe.write.close();
    pump.settle(step);
    ASSERT_EQ(pump.annotations().size(), static_cast<std::size_t>(i) + 1);
  }
}

TEST(LogPump, NoMoreAnnotationsThanTheLimit) {
  Sink sink;
  LogPump pump(sink.send(), {}, quick());
  Ends pipe;
  pump.add(std::move(pipe.read), "s", "stdout");
  for (std::size_t i = 0; i < kAnnotationsMax + 20; ++i)
    ASSERT_TRUE(write_all(pipe.write.get(), "::warning::w\n").ok());
  pipe.write.close();
  pump.finish();
  EXPECT_EQ(pump.annotations().size(), kAnnotationsMax);
}

TEST(LogPump, DiscardEndsEvenWhenNobodyAnswers) {
  Sink sink;
  sink.failures = 1'000'000;
  LogPump pump(sink.send(), {}, quick());
  Ends pipe;
  pump.add(std::move(pipe.read), "s", "stdout");
  ASSERT_TRUE(write_all(pipe.write.get(), "x").ok());
  pump.discard();
  pump.settle("s");
  pump.finish();
  EXPECT_EQ(sink.text, "");
}

}  // namespace
}  // namespace mc::worker
