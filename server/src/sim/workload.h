// Random workflow definitions that use every feature of the language. Always valid.
#pragma once

#include <string>

#include "base/rng.h"

namespace mc::sim {

inline constexpr int kStoredWorkflows = 4;  // "w0" …: what runs are started from by name
inline constexpr int kChildWorkflows = 2;   // "child0" …: what `workflow` jobs call

// Events that random workflows wait for.
inline constexpr const char* kSignalName = "go";

std::string random_definition(Rng& rng);
// The same with a schedule that fires every few minutes.
std::string random_scheduled_definition(Rng& rng);
// Short and without children of its own.
std::string random_child_definition(Rng& rng);

}  // namespace mc::sim
