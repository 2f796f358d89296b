#include "cli/bench.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/json.h"
#include "base/text.h"
#include "cli/bench_figures.h"

namespace mc::cli {
namespace {
struct Benchmark {
  std::string_view name;
  std::vector<Figure> (*run)(const BenchServer&);
  std::string_view what;
};
constexpr Benchmark kBenchmarks[] = {
    {"b1", bench_throughput, "durable throughput: no-op jobs in runs of ten"},
    {"b3", bench_step_latency, "step latency: a chain of 40 no-op jobs"},
    {"b5", bench_accept, "durable accept: POST /runs on 1 and 64 connections"},
    {"b7", bench_footprint, "footprint: start, memory, processor, size"}};

void print(const Figure& figure, bool json) {
  const double ratio = figure.reference > 0 ? figure.median / figure.reference : 0;
  if (!json) {
    std::string line = fmt::format("{:4} {:34} {:>12.2f} {:8}", figure.bench, figure.metric,
                                   figure.median, figure.unit);
    if (figure.reference > 0) {
      line += fmt::format(" reference {:>10.2f}  ratio {:.3f}", figure.reference, ratio);
    }
    std::puts(line.c_str());
    return;
  }
  JsonWriter out;
  out.open('{').field("bench", figure.bench).field("metric", figure.metric);
  out.field("value", figure.median).field("unit", figure.unit);
  if (figure.reference > 0) out.field("reference", figure.reference).field("ratio", ratio);
  out.field("runs", figure.runs).field("min", figure.min).field("max", figure.max).close('}');
  std::puts(out.text().c_str());
}

int usage(const std::string& name) {
  std::vector<std::string> names;
  for (const Benchmark& known : kBenchmarks) names.emplace_back(known.name);
  std::fprintf(stderr, "maestro: there is no benchmark `%s`; there are %s\n", name.c_str(),
               join(names, ", ").c_str());
  return exit_code(Code::usage);
}
}  // namespace

int bench_main(const BenchOptions& options) {
  if (!options.db_url.empty()) {
    std::fputs("maestro: this build measures SQLite only: leave out --db\n", stderr);
    return exit_code(Code::usage);
  }
  for (const std::string& name : options.names) {
    const auto* found = std::find_if(std::begin(kBenchmarks), std::end(kBenchmarks),
                                     [&](const Benchmark& b) { return b.name == name; });
    if (found == std::end(kBenchmarks)) return usage(name);
  }
  for (const Benchmark& benchmark : kBenchmarks) {
    const auto& names = options.names;
    const bool wanted =
        names.empty() || std::find(names.begin(), names.end(), benchmark.name) != names.end();
    if (!wanted) continue;
    if (::isatty(STDERR_FILENO) == 1) {
      std::fprintf(stderr, "%s: %s …\n", std::string(benchmark.name).c_str(),
                   std::string(benchmark.what).c_str());
    }
    Result<std::unique_ptr<BenchServer>> server = BenchServer::start();
    if (!server.ok()) {
      std::fprintf(stderr, "maestro: %s\n", server.error().message.c_str());
      return exit_code(server.error().code);
    }
    const std::vector<Figure> figures = benchmark.run(**server);
    if (figures.empty()) {
      std::fputs("maestro: the measurement failed: the server refused the load\n", stderr);
      return exit_code(Code::unavailable);
    }
    for (const Figure& figure : figures) print(figure, options.json);
  }
  return 0;
}
}  // namespace mc::cli
