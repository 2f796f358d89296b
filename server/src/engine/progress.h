// How a node goes on: whether it may start, what starting means for its kind, and how it ends
// badly.
#pragma once

#include "engine/transition.h"
#include "model/task.h"

namespace mc::engine {

// A pending node whose needs are all final: evaluates its condition and starts it, or ends it.
void consider(Transition& transition, NodeIndex node);
// Starts a node: a grant may follow, a wait begins, cells come to be. Cells come here directly.
void start_node(Transition& transition, NodeIndex node);
// Lets as many pending cells go as max_parallel allows.
void start_cells(Transition& transition, NodeIndex group);

// What is known of an attempt that did not go well.
struct Failure {
  FailureKind kind = FailureKind::user;
  JobStatus status = JobStatus::failed;  // if it is the last: failed, timed_out
  std::optional<int> exit_code;
  int signal = 0;
  std::string message;
};
// Retries the node if its policy says so, else ends it. `result` may be nullptr (nothing was
// reported).
void fail_attempt(Transition& transition, NodeIndex node, const Failure& failure,
                  const TaskResult* result);
// Has the worker of a running node stop it by the ladder, and run what its job says to run then.
// `timed_out`: what the node ends as when it did not end well.
void stop_at_work(Transition& transition, NodeIndex node, bool timed_out);
// Stops a node that is not final because the run (or its matrix) is being cancelled.
void cancel_node(Transition& transition, NodeIndex node);

}  // namespace mc::engine
