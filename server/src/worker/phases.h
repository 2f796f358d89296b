// The lists of steps of a job, one after the other: steps, on_failure, finally.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/task.h"
#include "worker/step.h"
#include "worker/task_run.h"

namespace mc::worker {

class Phases {
 public:
  Phases(TaskRun& run, TaskResult& result) : run_(run), result_(result) {}

  // The checkout steps that the job begins with: a cache key is computed after them.
  void run_leading_checkouts(const std::vector<StepSpec>& steps);
  // The rest of the job's steps. Once one has failed, or the job is cancelled or out of time, only
  // those run whose `if` asks for it, within the time that `finally` has.
  void run_steps(const std::vector<StepSpec>& steps);
  void run_on_failure(const std::vector<StepSpec>& steps);
  void run_finally(const std::vector<StepSpec>& steps);
  // Shows steps that a cache hit made unnecessary.
  void skip_rest(const std::vector<StepSpec>& steps);
  // Notes that the job has failed for a reason outside its steps.
  void fail(const Failure& failure);

 private:
  void run_one(const StepSpec& spec, const std::string& label);
  void run_extra(const std::vector<StepSpec>& steps, const std::string& phase);
  void note(StepOutcome outcome);
  void fail_step(const StepOutcome& outcome);
  bool wind_down();
  StepPlace place(std::string label);

  TaskRun& run_;
  TaskResult& result_;
  std::size_t next_ = 0;  // of `steps`
  int number_ = 0;
  bool winding_down_ = false;  // cancelled or out of time: what runs now runs because of that
  Steady::time_point wind_down_end_{};
};

}  // namespace mc::worker
