// One task being carried out: everything its steps share. Made, used and destroyed on a slot's
// thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "client/worker_api.h"
#include "lang/expression.h"
#include "model/task.h"
#include "model/workflow.h"
#include "worker/environment.h"
#include "worker/log_pump.h"
#include "worker/settings.h"
#include "worker/supervise.h"
#include "worker/task_control.h"
#include "worker/workspace.h"

namespace mc::worker {

// Why a job, or one of its steps, did not succeed.
struct Failure {
  FailureKind kind = FailureKind::user;
  std::string message;
};
// Failures of the machine or the server are worth another try, all others are the job's own.
Failure failure_of(const Error& error);

class Launcher;

class TaskRun {
 public:
  struct Parts {
    const Task& task;
    const RunSettings& settings;
    client::WorkerApi& api;
    TaskControl& control;
    SendLog send_log;
    Value spec;   // Task::spec_json
    JobSpec job;  // its `job`
  };
  explicit TaskRun(Parts parts);
  ~TaskRun();
  TaskRun(const TaskRun&) = delete;
  TaskRun& operator=(const TaskRun&) = delete;

  const Task& task() const { return parts_.task; }
  const RunSettings& settings() const { return parts_.settings; }
  client::WorkerApi& api() { return parts_.api; }
  TaskControl& control() { return parts_.control; }
  const Value& spec() const { return parts_.spec; }
  const JobSpec& job() const { return parts_.job; }
  client::Hold hold() const { return {parts_.task.task_id, parts_.task.fence}; }
  LogPump& log() { return log_; }
  // A line of the log that Maestro itself writes.
  void say(const std::string& step, const std::string& line) { log_.say(step, line); }

  // Made when first asked for: jobs without files or processes cost none. Errors: store_failed.
  Result<Workspace*> workspace();
  bool has_workspace() const { return workspace_.has_value(); }
  // Removes it, when nothing of the job runs any more.
  void drop_workspace() { workspace_.reset(); }

  // --- expressions ---
  // A member of the run context: "ref", "commit", "repository", …
  std::string run_fact(std::string_view name) const;
  lang::StatusView status;  // of the steps so far
  void set_env_context(const Environment& env);
  void add_step_context(const std::string& id, StepStatus status, const Value& outputs,
                        std::optional<int> exit_code);
  lang::Scope scope() const;

  // --- environment ---
  // Workflow's and job's `env`, evaluated; MAESTRO_ENV adds to it. Errors: invalid_expression.
  Status evaluate_env();
  Environment env;
  // Adds a step's `env`. Errors: invalid_expression.
  Status add_bindings(const Bindings& bindings, Environment& to);
  // All that a process of the job sees: what passes from the worker, `extra`, then the contract.
  Environment process_env(const Environment& extra, const std::string& step) const;
  std::string marker() const { return "MAESTRO_TASK_ID=" + parts_.task.task_id; }

  // --- processes ---
  // How commands are started: plain, in a sandbox, in a container.
  std::unique_ptr<Launcher> launcher;
  bool spawned = false;  // something was: the end has to look for what it left
  // Runs a command with its output in the log of `step`. Errors: as spawn().
  Result<Finished> run_command(const SpawnOptions& options, const std::string& step,
                               const Supervision& how);
  Steady::time_point deadline;  // of the job

  // --- what the job gives ---
  std::vector<ArtifactRef> artifacts;
  List annotations;
  std::string summary;

 private:
  Parts parts_;
  LogPump log_;
  std::optional<Workspace> workspace_;
  Value contexts_ = Object{};
};

// Names processes of all tasks of one life of a worker: "MAESTRO_WORKER_HOME=folder/life". What
// ends the jobs of a life that is over, late as it may be, must leave those of the next one alone.
std::string worker_marker(const RunSettings& settings);
// Names those of all lives in the folder `data`.
std::string home_marker(const std::string& data);

}  // namespace mc::worker
