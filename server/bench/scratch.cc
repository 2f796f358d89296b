#include "bench/scratch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/file.h"
#include "bench/figure.h"

namespace mc::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr std::size_t kRowBytes = 256;
constexpr int kSyncs = 200;
constexpr int kSpawns = 100;
// A disk with a cache that outlives a power cut needs some 10 µs for the command alone, a file
// system its journal on top. What returns sooner went nowhere.
constexpr double kSyncMsMin = 0.008;

double ms_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

Fd make_file(const std::string& folder, const char* name) {
  const std::string path = folder + "/" + name;
  return Fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600));
}

const char* file_system_in_memory(const std::string& folder) {
  constexpr long kTmpfs = 0x01021994;
  constexpr long kRamfs = 0x858458f6;
  struct statfs found{};
  if (::statfs(folder.c_str(), &found) != 0) return nullptr;
  const long type = static_cast<long>(found.f_type);
  return type == kTmpfs ? "tmpfs" : type == kRamfs ? "ramfs" : nullptr;
}

std::string home_of_scratch() {
  const char* chosen = std::getenv("TMPDIR");
  if (chosen != nullptr && *chosen != '\0') return chosen;
  return ::access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
}
}  // namespace

Result<Scratch> Scratch::make() {
  std::string pattern = home_of_scratch() + "/maestro-bench-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr)
    return os_error(Code::unavailable, "cannot make the folder " + pattern);
  return Scratch(pattern);
}

Scratch::Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
Scratch& Scratch::operator=(Scratch&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}
Scratch::~Scratch() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::string doubt_durability(const std::string& folder) {
  if (const char* name = file_system_in_memory(folder)) {
    return fmt::format("{} is a {}: nothing in it outlives a power cut", folder, name);
  }
  const double ms = sync_ms(folder);
  if (ms >= kSyncMsMin) return {};
  return fmt::format("fdatasync in {} takes {:.1f} µs: no disk is that fast", folder, ms * 1000);
}

double append_rate(const std::string& folder, int rows, int batch) {
  const Fd file = make_file(folder, "append");
  const std::string bytes(static_cast<std::size_t>(batch) * kRowBytes, 'x');
  const auto began = Clock::now();
  for (int i = 0; i < rows; i += batch) {
    if (!write_all(file.get(), bytes).ok() || ::fdatasync(file.get()) != 0) return 0;
  }
  return rows / ms_since(began) * 1000;
}

double sync_ms(const std::string& folder) {
  const Fd file = make_file(folder, "sync");
  const std::string row(kRowBytes, 'x');
  std::vector<double> took;
  for (int i = 0; i < kSyncs; ++i) {
    const auto began = Clock::now();
    if (!write_all(file.get(), row).ok() || ::fdatasync(file.get()) != 0) return 0;
    took.push_back(ms_since(began));
  }
  return median_of(std::move(took));
}

double pipe_to_disk_rate(const std::string& folder, std::int64_t bytes) {
  constexpr std::size_t kPiece = 64 << 10;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return 0;
  const Fd reader(ends[0]);
  const Fd file = make_file(folder, "pipe");
  const auto began = Clock::now();
  std::jthread source([bytes, writer = Fd(ends[1])] {
    const std::string piece(kPiece, 'x');
    for (std::int64_t left = bytes; left > 0; left -= static_cast<std::int64_t>(kPiece)) {
      if (!write_all(writer.get(), piece).ok()) return;
    }
  });
  std::string buffer(kPiece, '\0');
  std::int64_t taken = 0;
  while (taken < bytes) {
    const ssize_t got = ::read(reader.get(), buffer.data(), buffer.size());
    if (got <= 0) return 0;
    const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
    if (!write_all(file.get(), piece).ok()) return 0;
    taken += got;
  }
  return static_cast<double>(taken) / 1e6 / ms_since(began) * 1000;
}

double spawn_ms() {
  std::string name = "true";
  std::array<char*, 2> arguments{name.data(), nullptr};
  std::vector<double> took;
  for (int i = 0; i < kSpawns; ++i) {
    const auto began = Clock::now();
    pid_t pid = 0;
    if (::posix_spawnp(&pid, name.c_str(), nullptr, nullptr, arguments.data(), environ) != 0)
      return 0;
    ::waitpid(pid, nullptr, 0);
    took.push_back(ms_since(began));
  }
  return median_of(std::move(took));
}

}  // namespace mc::bench
