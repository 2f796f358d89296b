// `maestro __pod …`: what runs inside the pod of a Kubernetes Job. Not for people.
#pragma once

#include <string>
#include <vector>

#include "bin/signals.h"

namespace mc::bin {

//   prepare SECRET PROGRAM HANDOVER   copies this program, its libraries, its loader and the task
//   run TASKFILE WORK                 carries the task out in the folder WORK
// Returns the exit code: 0 when the server has the result, 1 else.
int run_pod(const std::vector<std::string>& words, Signals& signals);

}  // namespace mc::bin
