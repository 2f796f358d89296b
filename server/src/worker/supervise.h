// Waiting for a process with everything that can end it: itself, a time-out, a cancel, a lost
// lease.
#pragma once

#include <chrono>

#include "model/status.h"
#include "worker/process.h"
#include "worker/settings.h"
#include "worker/task_control.h"

namespace mc::worker {

using Steady = std::chrono::steady_clock;

enum class Stop : std::uint8_t { none, cancelled, timed_out, lost };

struct Supervision {
  Steady::time_point deadline;
  bool heed_cancel = true;  // false for `finally` steps: they run because of the cancel
};

struct Finished {
  Ended ended;
  Stop stop = Stop::none;  // what made us end it; none: it ended by itself
  bool out_of_memory = false;
};

// Waits until `process` has ended. A time-out or cancel walks down the ladder; a lost lease kills.
Finished supervise(Process& process, TaskControl& control, const Ladder& ladder,
                   const Supervision& how);

// "exit code 3", "killed by SIGSEGV", "out of memory", "timed out after 10s" …: for people.
std::string describe(const Finished& finished);
StepStatus step_status(const Finished& finished);

}  // namespace mc::worker
