// What docs/reference/workflow.md promises of one run, judged from its events and written apart
// from the engine: a wrong decision must not be excused by the code that made it.
#pragma once

#include <map>
#include <optional>
#include <set>
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
  std::optional<std::string> take_child(const engine::JobState& job, const std::string& message);
  std::optional<std::string> outlasts_cancel(const engine::RunState& run, NodeIndex node,
                                             const JobFinished& e, Instant now) const;

  bool began_ = false;                  // its graph did, rather than being skipped whole
  std::map<std::string, int> signals_;  // received, and not used up by a wait
  std::set<std::string> children_;      // that an attempt has ended by
  Instant cancelled_;                   // when it was asked for,
  std::set<NodeIndex> to_cancel_;       // and what waited then and was to end at once
};

}  // namespace mc::sim
