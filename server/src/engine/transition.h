// What every command works with: the run, the moment, and the events it gives. A command first
// checks, then emits; after an Error nothing was emitted.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "engine/apply.h"
#include "engine/state.h"

namespace mc::engine {

// What the outside tells a decision, besides the command.
struct Ambient {
  Instant now;
  std::string public_url;  // for `run.url`
};

class Transition {
 public:
  // `run` and `ambient` outlive the transition.
  Transition(RunState& run, const Ambient& ambient) : run_(run), ambient_(ambient) {}

  RunState& run() { return run_; }
  JobState& job(NodeIndex node) { return run_.jobs.at(node); }
  Instant now() const { return ambient_.now; }
  const Ambient& ambient() const { return ambient_; }

  // Records and applies one event.
  void emit(EventBody body);
  // Ends a node that takes no further part: skipped, cancelled, failed before it started, …
  void finish(NodeIndex node, JobStatus status, FailureKind kind = FailureKind::none,
              std::string message = {});
  // Lets everything follow from what was emitted: dependents, cells, phases, the end of the run.
  // Called once, at the end of a command.
  void settle();

  std::vector<Event> take_events() { return std::move(events_); }

 private:
  RunState& run_;
  const Ambient& ambient_;
  std::vector<Event> events_;
  std::deque<NodeIndex> finished_;  // not looked at by settle() yet
};

}  // namespace mc::engine
