// Leaves no orphan when a worker is killed: a small process of this program's own that waits for
// the worker to go, however it goes, and then ends what its jobs left running.
#pragma once

#include <string>

#include "base/error.h"
#include "base/file.h"

namespace mc::worker {

// Starts `program __guard MARKER` for processes with `marker` (sweep.h). It lives until the
// returned pipe end closes, which the kernel does when this process dies. Errors: internal (no
// process).
Result<Fd> start_guard(const std::string& program, const std::string& marker);

// What the guard does: `maestro __guard MARKER`, with the pipe as standard input. Returns the
// exit code.
int run_guard(const std::string& marker);

}  // namespace mc::worker
