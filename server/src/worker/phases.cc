#include "worker/phases.h"

#include <algorithm>

namespace mc::worker {
namespace {
StepResult skipped(const TaskRun& run, const StepSpec& spec, const std::string& label) {
  return {.id = label, .name = step_name(run, spec), .status = StepStatus::skipped};
}

std::string label_of(const StepSpec& spec, std::size_t index) {
  return spec.id.empty() ? std::to_string(index + 1) : spec.id;
}
}  // namespace

// True once the job has been cancelled or its time is over.
bool Phases::wind_down() {
  if (winding_down_) return true;
  const bool timed_out = Steady::now() >= run_.deadline;
  if (!run_.control().cancelled() && !timed_out) return false;
  winding_down_ = true;
  wind_down_end_ = Steady::now() + run_.settings().finally_timeout;
  run_.status.success = false;
  if (run_.control().cancelled()) {
    run_.status.cancelled = true;
    result_.outcome = Outcome::cancelled;
    if (result_.message.empty()) result_.message = "cancelled";
  } else if (result_.outcome == Outcome::succeeded ||
             result_.failure_kind == FailureKind::timeout) {
    run_.status.failure = true;
    result_.outcome = Outcome::timed_out;
    result_.failure_kind = FailureKind::timeout;
    result_.message = "the job ran out of time";
  }
  return true;
}

StepPlace Phases::place(std::string label) {
  return {.label = std::move(label),
          .number = ++number_,
          .heed_cancel = !winding_down_,
          .deadline = winding_down_ ? wind_down_end_ : run_.deadline};
}

void Phases::fail(const Failure& failure) {
  run_.status.failure = true;
  run_.status.success = false;
  if (result_.outcome != Outcome::succeeded) return;  // the first failure is the one that counts
  result_.outcome = failure.kind == FailureKind::timeout ? Outcome::timed_out : Outcome::failed;
  result_.failure_kind = failure.kind;
  result_.message = failure.message;
}

void Phases::fail_step(const StepOutcome& outcome) {
  if (outcome.tolerated) return;
  if (outcome.result.status == StepStatus::cancelled && run_.control().cancelled()) {
    wind_down();
    return;
  }
  Failure failure = outcome.failure.value_or(Failure{FailureKind::user, "failed"});
  failure.message = "step `" + outcome.result.name + "`: " + failure.message;
  const bool first = result_.outcome == Outcome::succeeded;
  fail(failure);
  if (!first) return;
  result_.exit_code = outcome.result.exit_code;
  result_.signal = outcome.result.signal;
}

void Phases::note(StepOutcome outcome) {
  run_.add_step_context(outcome.result.id, outcome.result.status, outcome.outputs,
                        outcome.result.exit_code);
  if (outcome.result.status != StepStatus::succeeded) {
    fail_step(outcome);
  } else if (result_.outcome == Outcome::succeeded && outcome.result.exit_code) {
    result_.exit_code = outcome.result.exit_code;
  }
  result_.steps.push_back(std::move(outcome.result));
}

void Phases::run_one(const StepSpec& spec, const std::string& label) {
  wind_down();
  const auto holds = lang::evaluate_condition(spec.condition, run_.scope());
  if (!holds.ok()) {
    StepOutcome broken{.result = skipped(run_, spec, label), .tolerated = spec.continue_on_error};
    broken.result.status = StepStatus::failed;
    broken.failure = Failure{FailureKind::user, "if: " + holds.error().message};
    return note(std::move(broken));
  }
  const bool late = winding_down_ && Steady::now() >= wind_down_end_;
  if (!*holds || late || run_.control().lost()) {
    result_.steps.push_back(skipped(run_, spec, label));
    run_.add_step_context(label, StepStatus::skipped, Object{}, std::nullopt);
    return;
  }
  note(run_step(run_, spec, place(label)));
}

void Phases::run_leading_checkouts(const std::vector<StepSpec>& steps) {
  while (next_ < steps.size() && steps[next_].uses == "checkout") {
    run_one(steps[next_], label_of(steps[next_], next_));
    ++next_;
  }
}

void Phases::run_steps(const std::vector<StepSpec>& steps) {
  for (; next_ < steps.size(); ++next_) run_one(steps[next_], label_of(steps[next_], next_));
  wind_down();
}

// Steps of on_failure and finally judge each other, not the job before them.
void Phases::run_extra(const std::vector<StepSpec>& steps, const std::string& phase) {
  if (steps.empty() || run_.control().lost()) return;
  winding_down_ = true;
  wind_down_end_ = Steady::now() + run_.settings().finally_timeout;
  const lang::StatusView before = run_.status;
  run_.status.success = true;
  for (std::size_t i = 0; i < steps.size(); ++i)
    run_one(steps[i], phase + "-" + label_of(steps[i], i));
  run_.status.success &= before.success;
}

void Phases::run_on_failure(const std::vector<StepSpec>& steps) { run_extra(steps, "on_failure"); }
void Phases::run_finally(const std::vector<StepSpec>& steps) { run_extra(steps, "finally"); }

void Phases::skip_rest(const std::vector<StepSpec>& steps) {
  for (; next_ < steps.size(); ++next_) {
    result_.steps.push_back(skipped(run_, steps[next_], label_of(steps[next_], next_)));
  }
}

}  // namespace mc::worker
