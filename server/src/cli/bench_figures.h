// The measurements themselves: each takes a fresh server and gives its figures; none: it failed.
// docs/benchmarks.md says what each is.
#pragma once

#include <string>
#include <vector>

#include "cli/bench_server.h"

namespace mc::cli {

struct Figure {
  std::string bench;
  std::string metric;
  std::string unit;
  double median = 0;
  double min = 0, max = 0;
  int runs = 1;
  double reference = 0;  // what the machine can physically do, in the same unit; 0: none
};

std::vector<Figure> bench_throughput(const BenchServer& server);
std::vector<Figure> bench_step_latency(const BenchServer& server);
std::vector<Figure> bench_accept(const BenchServer& server);
std::vector<Figure> bench_footprint(const BenchServer& server);

// Appends `rows` of 256 bytes in `folder`, each batch made durable by one fdatasync; rows a
// second.
double append_rate(const std::string& folder, int rows, int batch);
// Starts `count` runs of the stored workflow `name`. False: one was refused.
bool start_runs(client::Transport& transport, const std::string& name, int count);
bool store_workflow(client::Transport& transport, const std::string& name, const std::string& text);
// Runs of ten no-op jobs (1 → 8 → 1) that only the benchmark's own workers take.
std::string ten_jobs();
// Works off `jobs` jobs with the public worker protocol; seconds, or 0 when it failed.
double work_off(const BenchServer& server, int jobs);

}  // namespace mc::cli
