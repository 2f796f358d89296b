// What this machine, or the container that the process is in, has for jobs.
#pragma once

#include "model/resources.h"

namespace mc::bin {

// Processors that this process may use and its memory: the least of the machine's and of the limits
// of its control group (cgroup v2).
Resources machine_resources();

}  // namespace mc::bin
