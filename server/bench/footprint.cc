// B7: what the server takes: memory, processor, time to start, bytes on disk.
#include <chrono>
#include <filesystem>
#include <thread>

#include "bench/benchmarks.h"
#include "bench/work.h"

namespace mc::bench {
namespace {
constexpr double kMiB = 1024 * 1024;
constexpr int kStarts = 5;
constexpr int kTens = 10'000;      // B1's load
constexpr int kFinished = 90'000;  // with those: a hundred thousand finished runs
constexpr std::chrono::seconds kIdle{10};

double mib_of(const ServerProcess& server) {
  return static_cast<double>(server.resident_bytes()) / kMiB;
}

struct Idleness {
  double cpu = 0;      // per cent of one processor
  double wakeups = 0;  // a second
};

Idleness idleness(const ServerProcess& server) {
  const double before = server.cpu_seconds();
  const std::int64_t woken = server.wakeups();
  const auto began = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(kIdle);  // tidy: allow banned: idleness is what is measured
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  return {(server.cpu_seconds() - before) / passed.count() * 100,
          static_cast<double>(server.wakeups() - woken) / passed.count()};
}

Figure one(const char* metric, const char* unit, double value) {
  return figure_of("b7", metric, unit, {value});
}
}  // namespace

Figures footprint() {
  std::vector<double> starts;
  for (int i = 0; i < kStarts; ++i) {
    const auto fresh = ServerProcess::start();
    if (!fresh.ok()) return fresh.error();
    starts.push_back((*fresh)->start_ms());
  }
  auto started = ServerProcess::start();
  if (!started.ok()) return started.error();
  ServerProcess& server = **started;
  const Idleness fresh_idle = idleness(server);
  const double idle = mib_of(server);
  if (const Status stored = store_workflow(server, "ten", ten_jobs()); !stored)
    return stored.error();
  if (const Status stored = store_workflow(server, "one", one_job()); !stored)
    return stored.error();
  if (const auto worked = start_and_work_off(server, "ten", kTens, 10); !worked.ok())
    return worked.error();
  const double loaded = mib_of(server);
  if (const auto worked = start_and_work_off(server, "one", kFinished, 1); !worked.ok())
    return worked.error();
  server.stop();
  if (const Status again = server.start_again(); !again) return again.error();
  std::error_code ignored;
  const Idleness full_idle = idleness(server);
  const auto size = static_cast<double>(std::filesystem::file_size("/proc/self/exe", ignored));
  return std::vector<Figure>{figure_of("b7", "start_to_ready", "ms", starts),
                             one("rss_idle", "MiB", idle),
                             one("cpu_idle", "%", fresh_idle.cpu),
                             one("wakeups_idle", "/s", fresh_idle.wakeups),
                             one("rss_after_b1", "MiB", loaded),
                             one("start_to_ready_100k_runs", "ms", server.start_ms()),
                             one("rss_idle_100k_runs", "MiB", mib_of(server)),
                             one("cpu_idle_100k_runs", "%", full_idle.cpu),
                             one("wakeups_idle_100k_runs", "/s", full_idle.wakeups),
                             one("binary", "MiB", size / kMiB)};
}

}  // namespace mc::bench
