// The engine's door: each function checks one command against a run and gives the events that
// follow. The run is changed by those events and by nothing else (engine/apply.h); after an Error
// it is as it was. No clock, no randomness, no I/O. Whoever calls commits the events before anyone
// hears of them, and throws the run away if the commit fails.
//
// One file a command in commands/. Every function requires a run that queue_run has begun.
#pragma once

#include <string>
#include <vector>

#include "engine/state.h"
#include "engine/transition.h"
#include "model/task.h"

namespace mc::engine {

using Events = std::vector<Event>;

// The first event of a run; `facts.lock_group` is filled in from the definition.
// Requires: an empty run (apply.h). Errors: invalid_expression (the concurrency group).
Result<Events> queue_run(RunState& run, RunQueued facts, const Ambient& ambient);

// The graph begins: no lock is needed, or it is held now. A run that is not queued or waiting: no
// events.
Events begin_run(RunState& run, const Ambient& ambient);

// The run's concurrency group is full.
Events hold_run(RunState& run, const Ambient& ambient);

// Asks everything that runs to stop and lets nothing start but `always()` and `finally`. A second
// time: no events. Errors: run_final.
struct Cancel {
  std::string by;
  std::string message;
  bool timed_out = false;  // the run's own time-out
};
Result<Events> cancel_run(RunState& run, const Cancel& command, const Ambient& ambient);

// Gives a ready job to a worker; the new fence is in the JobStarted event. Errors: conflict (not
// ready).
Result<Events> grant_job(RunState& run, NodeIndex node, const std::string& worker,
                         const Ambient& ambient);

// A job that waits for its own concurrency group has got it. Not waiting for it: no events.
Events grant_lock(RunState& run, NodeIndex node, const Ambient& ambient);

// What a worker reports. Errors: fenced (an older grant, or one that is over), limit_exceeded
// never: outputs beyond their limits make the job fail and say so.
Result<Events> complete_job(RunState& run, NodeIndex node, const TaskResult& result,
                            const Ambient& ambient);

// The worker has not been heard of in time. An older fence: no events.
Events lose_worker(RunState& run, NodeIndex node, std::int64_t fence, const Ambient& ambient);

// Everything whose time has come: retries, waits, time-outs, the run's own deadline.
Events fire_timers(RunState& run, const Ambient& ambient);

struct Voter {
  std::string name;
  std::string role;
  std::vector<std::string> groups;
};
struct Decide {
  Voter voter;
  bool approve = false;
  std::string comment;
  bool alone = false;  // nobody else is there: the voter stands for all who may decide
};
// Errors: already_decided (over, or a second vote), not_an_approver.
Result<Events> decide_approval(RunState& run, NodeIndex node, const Decide& command,
                               const Ambient& ambient);

// Errors: run_final, limit_exceeded (too many kept).
struct Signal {
  std::string event;
  Value data;
  std::string by;
};
Result<Events> receive_signal(RunState& run, const Signal& command, const Ambient& ambient);

// The child run of a `workflow` job is final, or could not be started (`error`). Not waiting for
// it: no events.
struct ChildResult {
  int attempt = 1;
  RunStatus status = RunStatus::failed;
  Value outputs = Object{};
  std::string message;
};
Events finish_child(RunState& run, NodeIndex node, const ChildResult& result,
                    const Ambient& ambient);

}  // namespace mc::engine
