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
#include "bench/store_writes.h"
#include "db/sqlite/sqlite_store.h"

namespace mc::db {
namespace {
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
