#include "engine/decide.h"
#include "engine/phases.h"
#include "engine/progress.h"

namespace mc::engine {

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
  // What follows the graph (finally, compensations) goes on; it is bounded by itself.
  const auto count = static_cast<NodeIndex>(run.jobs.size());
  for (NodeIndex node = 0; node < count; ++node) {
    if (run.jobs[node].phase == Phase::graph) cancel_node(t, node);
  }
  t.settle();
  return t.take_events();
}
}  // namespace mc::engine
