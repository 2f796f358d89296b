#include "base/check.h"
#include "engine/conditions.h"
#include "engine/decide.h"

namespace mc::engine {

Result<Events> queue_run(RunState& run, RunQueued facts, const Ambient& ambient) {
  MC_CHECK(run.seq == 0);
  const WorkflowSpec& spec = run.definition->spec;
  facts.lock_group.clear();  // a re-run brings that of its older definition
  if (spec.concurrency) {
    // The group may name inputs and the run itself, which the state does not hold yet.
    RunState preview = empty_run(run.id, run.definition);
    preview.facts = facts;
    RunScope world(preview, kNoNode, ambient);
    Result<std::string> group = lang::evaluate_text(spec.concurrency->group, world.scope());
    if (!group) {
      return Error{Code::invalid_expression, "concurrency group: " + group.error().message, {}};
    }
    facts.lock_group = std::move(*group);
  }
  Transition t(run, ambient);
  t.emit(std::move(facts));
  return t.take_events();
}
}  // namespace mc::engine
