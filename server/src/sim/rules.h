// What docs/reference/workflow.md promises of one run, judged from its events and written apart
// from the engine: a wrong decision must not be excused by the code that made it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "engine/state.h"

namespace mc::sim {

// One for each run. Thread rule: single owner.
class Rules {
 public:
  // The promise that `event` breaks, in words, coming to a run that was as `before`.
  // Requires: called for each event of the run, in order.
  std::optional<std::string> broken_by(const engine::RunState& before, const Event& event);

 private:
  std::optional<std::string> take_signal(const std::string& name);

  bool began_ = false;                  // its graph did, rather than being skipped whole
  std::map<std::string, int> signals_;  // received, and not used up by a wait
};

}  // namespace mc::sim
