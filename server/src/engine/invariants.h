// What must hold of every run at every moment (engine/state.h lists it): for tests, the simulator
// and the server's watchdog.
#pragma once

#include <optional>
#include <string>

#include "engine/state.h"

namespace mc::engine {

// The first violation in words, or nullopt. O(nodes).
std::optional<std::string> violation(const RunState& run);

}  // namespace mc::engine
