// What the programs that measure stores commit: one group a run and batch, every fourth the first
// of a new run.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "db/store.h"

namespace mc::db {

inline constexpr std::chrono::milliseconds kMeasureEach{1'500};
inline constexpr std::size_t kPayloadBytes = 300;
inline constexpr std::size_t kRowBytes = 600;

// Calls `once` for a while; how often a second it did `size` things.
template <class Once>
double rate(int size, const Once& once) {
  const auto start = std::chrono::steady_clock::now();
  std::int64_t calls = 0;
  std::chrono::duration<double> spent{};
  while (spent < kMeasureEach) {
    if (!once()) return 0;
    ++calls;
    spent = std::chrono::steady_clock::now() - start;
  }
  return static_cast<double>(calls * size) / spent.count();
}

class Writes {
 public:
  // The next `size` runs, each one group further; every fourth group is the first of a new run.
  Batch next(int size) {
    Batch batch;
    for (int i = 0; i < size; ++i) {
      const std::size_t slot = static_cast<std::size_t>(turn_++ % kRuns);
      if (seq_[slot] == 4) {
        seq_[slot] = 0;
        number_[slot] = 0;
      }
      if (number_[slot] == 0) number_[slot] = ++newest_;
      batch.runs.push_back(write(number_[slot], seq_[slot]++));
    }
    return batch;
  }

 private:
  static constexpr int kRuns = 1'000;
  static RunWrite write(std::int64_t number, std::int64_t seq) {
    RunWrite write;
    write.run = derive_uuid(Instant{1'700'000'000'000 + number}, std::to_string(number));
    write.expected_seq = seq;
    write.events = EventGroup{seq + 1, seq + 1, Instant{1}, std::string(kPayloadBytes, 'e')};
    write.row.id = write.run;
    write.row.number = number;
    write.row.project = "default";
    write.row.workflow = "build";
    write.row.actor = "bench";
    write.row.labels = {{"team", "core"}};
    write.row.status = seq == 3 ? RunStatus::succeeded : RunStatus::running;
    if (seq == 3) write.row.finished_at = Instant{2};
    write.row.created_at = Instant{1};
    write.row.json = std::string(kRowBytes, 'r');
    return write;
  }
  std::int64_t turn_ = 0;
  std::int64_t newest_ = 0;
  std::vector<std::int64_t> seq_ = std::vector<std::int64_t>(kRuns);
  std::vector<std::int64_t> number_ = std::vector<std::int64_t>(kRuns);
};

}  // namespace mc::db
