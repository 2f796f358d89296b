// How deep JSON may be that this program wrote itself.
#pragma once

#include "base/json.h"

namespace mc::wire {

// What is given from outside is at most JsonLimits{}.depth deep; events, snapshots, tasks and
// answers put records around it. With the same limit a value that was accepted could not be read
// back, and a server would refuse its own log.
inline constexpr JsonLimits kOwnJson{.depth = 1024};

}  // namespace mc::wire
