// Measurements that BENCHMARKS name: one JSON line a figure.
#pragma once

#include <string>
#include <vector>

namespace mc::cli {

struct BenchOptions {
  std::vector<std::string> names;  // b1 … b12; empty: all
  bool json = false;
  std::string db_url;  // empty: SQLite in a temporary folder
};

// Returns the exit code.
int bench_main(const BenchOptions& options);

}  // namespace mc::cli
