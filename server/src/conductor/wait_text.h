// What an open job waits for, in a sentence.
#pragma once

#include <string>

#include "conductor/dispatcher.h"
#include "conductor/locks.h"
#include "engine/state.h"

namespace mc::conductor {

// Which part of the outside `job`, which has these `wants`, waits for, and who can help.
std::string wait_text(const engine::RunState& run, const engine::JobState& job,
                      const JobWants& wants, const LockTable& locks, const Dispatcher& dispatcher);

}  // namespace mc::conductor
