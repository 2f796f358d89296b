// B1, B2: durable throughput. B6: recovery.
#include <chrono>

#include "bench/benchmarks.h"
#include "bench/postgres_floor.h"
#include "bench/work.h"

namespace mc::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr int kRounds = 3;
constexpr int kPending = 4'000;

struct Work {
  const char* workflow;
  int runs;
  int jobs_each;
  int connections;  // that start runs
  int rounds;
};
constexpr Work kTens{"ten", 10'000, 10, 16, kRounds};
// A commit takes longer there: more share it. bench/compare repeats it on fresh databases.
constexpr Work kTensOnPostgres{"ten", 10'000, 10, 64, 1};
constexpr Work kTwosOnPostgres{"two", 10'000, 2, 64, 1};
constexpr int kProjects = 8;  // one a shard

double ms_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

// Runs a second, each time.
Result<std::vector<double>> run_rates(const ServerProcess& server, const Work& work,
                                      const std::vector<std::string>& tokens = {}) {
  std::vector<double> rates;
  for (int i = 0; i < work.rounds; ++i) {
    const Result<double> seconds = start_and_work_off(server, work.workflow, work.runs,
                                                      work.jobs_each, work.connections, tokens);
    if (!seconds.ok()) return seconds.error();
    rates.push_back(work.runs / *seconds);
  }
  return rates;
}

Result<Figure> durable_jobs(const char* bench, const ServerProcess& server, const Work& work,
                            double reference) {
  if (const Status stored = store_workflow(server, work.workflow, ten_jobs()); !stored)
    return stored.error();
  Result<std::vector<double>> rates = run_rates(server, work);
  if (!rates.ok()) return rates.error();
  for (double& rate : *rates) rate *= work.jobs_each;
  return figure_of(bench, "durable_jobs", "jobs/s", *rates, reference);
}
// The same work as durable_jobs, of projects that share nothing but the database.
Result<Figure> jobs_of_many_projects(const ServerProcess& server) {
  const auto tokens = make_projects(server, kProjects);
  if (!tokens.ok()) return tokens.error();
  if (const Status stored = store_workflow(server, "ten", ten_jobs(), *tokens); !stored)
    return stored.error();
  Result<std::vector<double>> rates = run_rates(server, kTensOnPostgres, *tokens);
  if (!rates.ok()) return rates.error();
  for (double& rate : *rates) rate *= kTensOnPostgres.jobs_each;
  return figure_of("b2", "durable_jobs_8_projects", "jobs/s", *rates);
}
}  // namespace

Figures throughput() {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  std::vector<double> appends;
  for (int i = 0; i < kRounds; ++i)
    appends.push_back(append_rate((*server)->folder(), 50'000, 100));
  const Result<Figure> jobs = durable_jobs("b1", **server, kTens, median_of(appends));
  if (!jobs.ok()) return jobs.error();
  return std::vector<Figure>{*jobs};
}

Figures throughput_on_postgres() {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  const Result<double> floor = unnest_rate(50'000, 100);
  if (!floor.ok()) return floor.error();
  const Result<Figure> jobs = durable_jobs("b2", **server, kTensOnPostgres, *floor);
  if (!jobs.ok()) return jobs.error();
  if (const Status stored = store_workflow(**server, "two", chain_of_jobs(2)); !stored)
    return stored.error();
  const Result<std::vector<double>> two = run_rates(**server, kTwosOnPostgres);
  if (!two.ok()) return two.error();
  const auto spread = jobs_of_many_projects(**server);
  if (!spread.ok()) return spread.error();
  return std::vector<Figure>{*jobs, figure_of("b2", "two_step_runs", "runs/s", *two), *spread};
}

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
