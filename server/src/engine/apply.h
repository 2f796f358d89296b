// The only way in which a run changes: one event at a time, never failing, reading no clock.
#pragma once

#include "engine/state.h"

namespace mc::engine {

// The state before its first event. Requires: the first event applied is RunQueued.
RunState empty_run(Uuid id, DefinitionRef definition);

// Requires: event.seq == run.seq + 1, and an event that decide() gave for this very state (checked
// where a wrong one would corrupt memory).
void apply(RunState& run, const Event& event);

// Folds a history. Errors: store_failed when the sequence has a gap or does not fit the definition.
Result<RunState> replay(Uuid id, DefinitionRef definition, const std::vector<Event>& events);

// The same, going on from a state that was kept.
Result<RunState> replay_on(RunState run, const std::vector<Event>& events);

}  // namespace mc::engine
