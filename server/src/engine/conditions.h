// The worlds in which a run's expressions are evaluated.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/state.h"
#include "engine/transition.h"
#include "lang/expression.h"

namespace mc::engine {

// The contexts of one node (or of the run, with kNoNode): inputs, needs, matrix, run, vars, event,
// and env as far as it needs no worker. Values are made when first asked for and live as long as
// this.
class RunScope {
 public:
  RunScope(const RunState& run, NodeIndex node, const Ambient& ambient)
      : run_(run), node_(node), ambient_(ambient) {}
  lang::Scope scope();

 private:
  const Value* context(std::string_view root);
  Value make_needs() const;
  Value make_run() const;

  const RunState& run_;
  NodeIndex node_;
  const Ambient& ambient_;
  std::map<std::string, Value, std::less<>> made_;
};

// {status, outputs} of a job as `needs.<job>` shows it.
Value need_value(const RunState& run, const JobState& job);
// The `run` context.
Value run_context(const RunState& run, int attempt, const std::string& public_url);
// What success(), failure() and cancelled() say for a node.
lang::StatusView status_view(const RunState& run, const JobState& job);

// The labels that a worker must have: `runs_on` with its templates evaluated; one expression may
// give a list. The same answer whenever it is asked, once the job's needs are final.
// Errors: invalid_expression; invalid_field (a label that is no text).
Result<std::vector<std::string>> labels_of(const RunState& run, const JobState& job);
// What people see: the job's `name` with its templates evaluated; the key when it has none, when
// what it needs is still open, or when it cannot be evaluated.
std::string shown_name(const RunState& run, const JobState& job);

}  // namespace mc::engine
