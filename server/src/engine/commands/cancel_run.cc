#include "engine/decide.h"
#include "engine/phases.h"
#include "engine/progress.h"
#include "lang/expression.h"

namespace mc::engine {
namespace {
// What still runs after a cancel, each job for kFinallyTimeout: those of the graph that ask for it
// with always() and have not begun (of a matrix that has, only the cells that were let go), and all
// that follows the graph. Only a sleep cannot be hurried.
bool goes_on(const JobState& job) {
  const bool asleep = job.status == JobStatus::waiting && job.reason == Reason::timer;
  if (job.phase != Phase::graph) return !asleep;
  const bool begun =
      job.attempt > 0 || (job.status == JobStatus::waiting && job.reason != Reason::lock);
  const bool held_back = job.parent != kNoNode && job.status == JobStatus::pending;
  return !begun && !held_back && lang::outlives_cancel(job.spec->condition);
}
}  // namespace

Result<Events> cancel_run(RunState& run, const Cancel& command, const Ambient& ambient) {
  if (is_final(run.status)) {
    return Error{
        Code::run_final, "the run has " + std::string(to_name(run.status)) + " already", {}};
  }
  if (run.cancel_requested) return Events{};
  Transition t(run, ambient);
  t.emit(RunCancelling{command.by, command.message, command.timed_out});
  if (!run.phase_begun) {
    // It did nothing that `finally` could clean up, and must not: others hold its lock.
    end_unbegun(t);
    return t.take_events();
  }
  const auto count = static_cast<NodeIndex>(run.jobs.size());
  for (NodeIndex node = 0; node < count; ++node) {
    if (!goes_on(run.jobs[node])) cancel_node(t, node);
  }
  t.settle();
  return t.take_events();
}
}  // namespace mc::engine
