#include "engine/decide.h"
#include "engine/phases.h"

namespace mc::engine {

Events begin_run(RunState& run, const Ambient& ambient) {
  if (run.status != RunStatus::queued && run.status != RunStatus::waiting) return {};
  if (run.phase_begun) return {};
  Transition t(run, ambient);
  t.emit(RunStarted{});
  start_roots(t);
  t.settle();
  return t.take_events();
}

Events hold_run(RunState& run, const Ambient& ambient) {
  if (run.status != RunStatus::queued) return {};
  Transition t(run, ambient);
  t.emit(RunWaiting{Reason::lock});
  return t.take_events();
}
}  // namespace mc::engine
