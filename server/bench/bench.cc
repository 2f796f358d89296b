// `maestro bench`.
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "bench/benchmarks.h"
#include "bench/database.h"
#include "bench/scratch.h"
#include "bench/server_process.h"

namespace mc::bench {
namespace {
struct Benchmark {
  std::string_view name;
  Figures (*measure)();
  std::string_view what;
  enum class On { sqlite, both, postgres } on = On::sqlite;  // which stores it can measure
};
using On = Benchmark::On;
constexpr Benchmark kBenchmarks[] = {
    {"b1", throughput, "durable throughput: no-op jobs in runs of ten"},
    {"b2", throughput_on_postgres, "the same on PostgreSQL, with --db", On::postgres},
    {"b3", step_latency, "step latency: a chain of 40 no-op jobs", On::both},
    {"b4", fan_out, "fan-out and join: 1 → 100 → 1 no-op jobs", On::both},
    {"b5", accept, "durable accept: POST /runs on 1 and 64 connections", On::both},
    {"b6", recovery, "recovery: kill -9 of what leads, with 4,000 runs pending", On::both},
    {"b7", footprint, "footprint: start, memory, processor, size"},
    {"b8", local_runner, "local runner: chain of 40 and fan of 100 `true` commands"},
    {"b9", growth, "growth: large runs, many stored runs, many waiting", On::both},
    {"b10", http_floor, "HTTP floor: GET /healthz and GET /runs/{id}"},
    {"b12", log_stream, "log streaming: one job printing 1 GB, 200 jobs at once"}};

int usage(const std::string& name) {
  std::vector<std::string> names;
  for (const Benchmark& known : kBenchmarks) names.emplace_back(known.name);
  std::fprintf(stderr, "maestro: there is no benchmark `%s`; there are %s\n", name.c_str(),
               join(names, ", ").c_str());
  return exit_code(Code::usage);
}

int fail(const Error& error) {
  std::fprintf(stderr, "maestro: %s\n", error.message.c_str());
  return exit_code(error.code);
}

// What speaks against the disk that everything is measured on.
Result<std::string> doubt_scratch() {
  const Result<Scratch> scratch = Scratch::make();
  if (!scratch.ok()) return scratch.error();
  std::string doubt = doubt_durability(scratch->path());
  if (!doubt.empty()) {
    std::fprintf(stderr,
                 "maestro: warning: these figures are not durable ones: %s (TMPDIR chooses "
                 "another place)\n",
                 doubt.c_str());
  }
  return doubt;
}

int measure(const Benchmark& benchmark, const std::string& doubt, bool json) {
  if (::isatty(STDERR_FILENO) == 1) {
    std::fprintf(stderr, "%s: %s …\n", std::string(benchmark.name).c_str(),
                 std::string(benchmark.what).c_str());
  }
  const Figures figures = benchmark.measure();
  if (!figures.ok()) return fail(figures.error());
  for (const Figure& figure : *figures)
    std::puts((json ? to_json_line(figure, doubt) : to_text_line(figure)).c_str());
  std::fflush(stdout);
  return 0;
}
}  // namespace

int run(const cli::BenchOptions& options) {
  const auto& names = options.names;
  const On other = options.db_url.empty() ? On::postgres : On::sqlite;
  for (const std::string& name : names) {
    const auto* known = std::ranges::find(kBenchmarks, name, &Benchmark::name);
    if (known == std::end(kBenchmarks)) return usage(name);
    if (known->on == other) {
      std::fprintf(stderr, "maestro: %s is measured %s\n", name.c_str(),
                   other == On::sqlite ? "on SQLite only: leave out --db"
                                       : "on PostgreSQL: name a database with --db URL");
      return exit_code(Code::usage);
    }
  }
  if (!options.db_url.empty()) {
    keep_data_in(options.db_url);
    ServerProcess::start_replicas(options.replicas);
  }
  const Result<std::string> doubt = doubt_scratch();
  if (!doubt.ok()) return fail(doubt.error());
  for (const Benchmark& benchmark : kBenchmarks) {
    if (names.empty() ? benchmark.on == other
                      : std::ranges::find(names, benchmark.name) == names.end())
      continue;
    if (const int code = measure(benchmark, *doubt, options.json); code != 0) return code;
  }
  return 0;
}

}  // namespace mc::bench
