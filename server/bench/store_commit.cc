// How many event groups a second the SQLite store takes in batches of several sizes, beside a plain
// append log with the same bytes and syncs: what the disk alone allows.
//   bench_store_commit [FOLDER]
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "db/sqlite/sqlite_store.h"

namespace mc::db {
namespace {
constexpr std::chrono::milliseconds kEach{1'500};
constexpr int kRuns = 1'000;
constexpr std::size_t kPayloadBytes = 300;
constexpr std::size_t kRowBytes = 600;

// Calls `once` for a while; how often a second it did `size` things.
template <class Once>
double rate(int size, const Once& once) {
  const auto start = std::chrono::steady_clock::now();
  std::int64_t calls = 0;
  std::chrono::duration<double> spent{};
  while (spent < kEach) {
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

int measure(const std::string& folder) {
  Result<std::unique_ptr<Store>> store = open_sqlite({.folder = folder});
  if (!store) {
    fmt::print(stderr, "{}\n", store.error().message);
    return 1;
  }
  const Fd log(::open((folder + "/append.log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  Writes writes;
  fmt::print("{:>6} {:>16} {:>16}\n", "batch", "sqlite groups/s", "append groups/s");
  for (const int size : {1, 10, 100, 1000}) {
    const double sqlite = rate(size, [&] { return (*store)->commit(writes.next(size)).ok(); });
    const std::string bytes(static_cast<std::size_t>(size) * (kPayloadBytes + kRowBytes), 'x');
    const double append =
        rate(size, [&] { return write_all(log.get(), bytes).ok() && ::fdatasync(log.get()) == 0; });
    fmt::print("{:>6} {:>16.0f} {:>16.0f}\n", size, sqlite, append);
  }
  return 0;
}
}  // namespace
}  // namespace mc::db

int main(int count, char** arguments) {
  std::string folder = count > 1 ? arguments[1] : "maestro-bench-XXXXXX";
  if (count < 2 && ::mkdtemp(folder.data()) == nullptr) return 1;
  const int result = mc::db::measure(folder);
  std::error_code ignored;
  if (count < 2) std::filesystem::remove_all(folder, ignored);
  return result;
}
