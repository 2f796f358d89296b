// The course of a run: graph, on_failure, compensate, finally, end.
#pragma once

#include "engine/transition.h"

namespace mc::engine {

// Every node of the current phase is final: begins the next phase that has something to do, or ends
// the run.
void next_phase(Transition& transition);
// Starts the nodes of the current phase that wait for nobody.
void start_roots(Transition& transition);
// Ends a run whose graph never began: every job is skipped, nothing runs.
void end_unbegun(Transition& transition);

}  // namespace mc::engine
