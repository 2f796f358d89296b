// One step of a job: a script or a built-in action.
#pragma once

#include <optional>
#include <string>

#include "model/task.h"
#include "model/workflow.h"
#include "worker/task_run.h"

namespace mc::worker {

struct StepPlace {
  std::string label;  // its id, or its number: names it in logs and results
  int number = 0;     // over all steps of the job, unique
  bool heed_cancel = true;
  Steady::time_point deadline;  // of the phase it is in; the step's own time-out is added
};

struct StepOutcome {
  StepResult result;
  Value outputs = Object{};
  std::optional<Failure> failure;  // what to tell when it did not succeed
  bool tolerated = false;          // continue_on_error
};

// Runs it whatever its `if` says. Never fails otherwise than by the outcome.
StepOutcome run_step(TaskRun& run, const StepSpec& spec, const StepPlace& place);

// What people see: the evaluated name, or the template when it cannot be evaluated.
std::string step_name(const TaskRun& run, const StepSpec& spec);

}  // namespace mc::worker
