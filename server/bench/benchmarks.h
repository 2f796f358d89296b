// The measurements: docs/benchmarks.md says what each is and what it is held against.
// Each starts a server of its own. Errors: unavailable, with what went wrong.
#pragma once

#include <vector>

#include "base/error.h"
#include "bench/figure.h"
#include "cli/doors.h"

namespace mc::bench {

using Figures = Result<std::vector<Figure>>;

Figures throughput();              // b1
Figures throughput_on_postgres();  // b2
Figures step_latency();            // b3
Figures fan_out();                 // b4
Figures accept();                  // b5
Figures recovery();                // b6
Figures footprint();               // b7
Figures local_runner();            // b8
Figures growth();                  // b9
Figures http_floor();              // b10
Figures log_stream();              // b12

// `maestro bench`: measures what is named and prints it. Returns the exit code.
int run(const cli::BenchOptions& options);

}  // namespace mc::bench
