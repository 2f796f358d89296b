// B1, B2: durable throughput. B6: recovery.
#include <chrono>

#include "bench/benchmarks.h"
#include "bench/work.h"

namespace mc::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr int kRuns = 10'000;  // of ten jobs
constexpr int kJobsEach = 10;
constexpr int kRounds = 3;
constexpr int kPending = 4'000;

double ms_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

Figures measure_throughput(const char* name) {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  if (const Status stored = store_workflow(**server, "ten", ten_jobs()); !stored)
    return stored.error();
  std::vector<double> rates;
  std::vector<double> references;
  for (int i = 0; i < kRounds; ++i) {
    references.push_back(append_rate((*server)->folder(), 50'000, 100));
    const Result<double> seconds = start_and_work_off(**server, "ten", kRuns, kJobsEach);
    if (!seconds.ok()) return seconds.error();
    rates.push_back(kRuns * kJobsEach / *seconds);
  }
  return std::vector<Figure>{
      figure_of(name, "durable_jobs", "jobs/s", rates, median_of(references))};
}
}  // namespace

Figures throughput() { return measure_throughput("b1"); }
Figures throughput_on_postgres() { return measure_throughput("b2"); }

Figures recovery() {
  std::vector<double> ready;
  std::vector<double> first;
  std::vector<double> all;
  std::vector<double> rates;
  for (int i = 0; i < kRounds; ++i) {
    auto server = ServerProcess::start();
    if (!server.ok()) return server.error();
    if (const Status stored = store_workflow(**server, "one", one_job()); !stored)
      return stored.error();
    const Result<Load> started = start_runs(**server, "one", kPending, 64);
    if (!started.ok()) return started.error();
    (*server)->kill();
    const auto began = Clock::now();
    if (const Status again = (*server)->start_again(); !again) return again.error();
    ready.push_back(ms_since(began));
    double first_ms = 0;
    if (const Status worked = work_off(**server, kPending, &first_ms); !worked)
      return worked.error();
    all.push_back(ms_since(began));
    first.push_back(ready.back() + first_ms);
    rates.push_back(kPending / (all.back() - ready.back()) * 1000);
  }
  return std::vector<Figure>{
      figure_of("b6", "ready", "ms", ready), figure_of("b6", "first_success", "ms", first),
      figure_of("b6", "all_done", "ms", all), figure_of("b6", "drain", "jobs/s", rates)};
}

}  // namespace mc::bench
