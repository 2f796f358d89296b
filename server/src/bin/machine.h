// What this machine, or the container that the process is in, has for jobs.
#pragma once

#include <string_view>

#include "model/resources.h"

namespace mc::bin {

// Processors that this process may use and its memory: the least of the machine's and of the limits
// of its control group (cgroup v2).
Resources machine_resources();

// Thousandths of a processor of `cpu.max` ("150000 100000", "max 100000"); 0: no limit, or not
// understood.
std::int64_t parse_cpu_max(std::string_view text);

}  // namespace mc::bin
