// The built-in actions: what `uses:` names. One file each; docs/reference/actions.md describes
// them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/environment.h"
#include "worker/task_run.h"

namespace mc::worker {

struct ActionCall {
  TaskRun& run;
  std::string step;                                            // label, for the log
  std::vector<std::pair<std::string, std::string>> with = {};  // evaluated
  Environment env;
  Steady::time_point deadline;
  bool heed_cancel = true;

  std::string get(std::string_view name, std::string_view fallback = "") const;
  bool has(std::string_view name) const;
  void say(const std::string& line) { run.say(step, line); }
};

struct ActionResult {
  Value outputs = Object{};
  std::optional<Failure> failure;
};

ActionResult failed(FailureKind kind, std::string message);
ActionResult failed(const Error& error);

// Performs the action called `name`; an unknown one is a failure.
ActionResult perform(const std::string& name, ActionCall& call);

// Lines of a `path` input: one path or glob a line.
std::vector<std::string> path_lines(const std::string& text);

ActionResult checkout(ActionCall& call);
ActionResult upload_artifact(ActionCall& call);
ActionResult download_artifact(ActionCall& call);
ActionResult restore_cache(ActionCall& call);
ActionResult save_cache(ActionCall& call);
ActionResult call_http(ActionCall& call);
ActionResult notify(ActionCall& call);
ActionResult noop(ActionCall& call);

}  // namespace mc::worker
