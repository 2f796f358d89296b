// Everything that can happen to a run, as facts. Stored as JSON by wire/event_codec under the type
// names given here; a name or a field is never given another meaning, fields are only added (with a
// default that means what older histories meant). docs/internals/events.md is the reader's version.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"
#include "base/value.h"
#include "model/status.h"
#include "model/task.h"
#include "model/workflow.h"

namespace mc {

// Place of a node in RunState::jobs: the workflow's jobs in order, then on_failure, then finally,
// then matrix cells and compensations in the order in which they came to be. Events also name the
// job's key, so that a reader of the log needs no definition.
using NodeIndex = std::uint32_t;

// A job of an earlier run that a re-run keeps.
struct KeptJob {
  std::string key;
  Value outputs;
  std::vector<ArtifactRef> artifacts;
};

struct RunQueued {
  static constexpr std::string_view kType = "run.queued";
  std::int64_t number = 0;
  std::string project;
  std::string workflow;
  std::int64_t version = 0;  // 0: a definition given with the run
  std::string digest;        // of the definition, which the store keeps under it
  Value inputs = Object{};
  Value trigger = Object{};  // {kind, …}
  std::string actor;
  std::string ref, commit, repository;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string run_key;
  Value event;
  Value vars = Object{};
  Uuid rerun_of;
  std::vector<KeptJob> kept;
  Uuid parent;  // with parent_node: the job that waits for this run
  NodeIndex parent_node = 0;
  int depth = 0;
  int warnings = 0;
  std::string lock_group;  // evaluated concurrency group; empty: none
};
struct RunWaiting {
  static constexpr std::string_view kType = "run.waiting";
  Reason reason = Reason::none;
};
struct RunStarted {
  static constexpr std::string_view kType = "run.started";
};
struct RunCancelling {
  static constexpr std::string_view kType = "run.cancelling";
  std::string by;
  std::string message;
  bool timed_out = false;  // the run's own time-out asked for it
};
struct PhaseStarted {
  static constexpr std::string_view kType = "run.phase_started";
  Phase phase = Phase::graph;
};
struct RunFinished {
  static constexpr std::string_view kType = "run.finished";
  RunStatus status = RunStatus::succeeded;
  FailureKind failure_kind = FailureKind::none;
  std::string message;
  Value outputs = Object{};
};
struct SignalReceived {
  static constexpr std::string_view kType = "signal.received";
  std::string event;
  Value data;
  std::string by;
};

struct MatrixCell {
  std::string label;
  Value values;
};
struct JobExpanded {
  static constexpr std::string_view kType = "job.expanded";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
  std::vector<MatrixCell> cells;
};
// Settings that were expressions in the definition have their values (lang/late.h).
struct JobConfigured {
  static constexpr std::string_view kType = "job.configured";
  NodeIndex node = 0;
  std::string job;            // the key of `node`
  Value settings = Object{};  // by their places
};
struct JobReady {
  static constexpr std::string_view kType = "job.ready";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
};
// A grant: recorded before the worker hears of it.
struct JobStarted {
  static constexpr std::string_view kType = "job.started";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
  int attempt = 1;
  std::int64_t fence = 0;
  std::string worker;
};
struct JobWaiting {
  static constexpr std::string_view kType = "job.waiting";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
  Reason reason = Reason::none;
  Instant until;       // when the wait ends by itself (timer) or is given up
  std::string detail;  // signal: its name; lock: the group; child: the workflow
  Value inputs;        // child: its inputs
};
struct ApprovalRequested {
  static constexpr std::string_view kType = "approval.requested";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
  Uuid approval;
  std::vector<std::string> by;
  int count = 1;
  bool self = true;
  std::string prompt;
  Instant expires_at;
};
struct ApprovalDecided {
  static constexpr std::string_view kType = "approval.decided";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
  std::string by;
  bool approved = false;
  std::string comment;
};
struct ApprovalExpired {
  static constexpr std::string_view kType = "approval.expired";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
};
struct JobCancelling {
  static constexpr std::string_view kType = "job.cancelling";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
  Instant until;    // when the server stops waiting for the worker
  bool timed_out = false;
};
// The attempt is over and another will follow at `until`.
struct JobRetrying {
  static constexpr std::string_view kType = "job.retrying";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
  int attempt = 1;  // the one that is over
  Instant until;
  FailureKind failure_kind = FailureKind::none;
  std::optional<int> exit_code;
  int signal = 0;
  std::string message;
  std::vector<StepResult> steps;
};
struct JobFinished {
  static constexpr std::string_view kType = "job.finished";
  NodeIndex node = 0;
  std::string job;  // the key of `node`
  int attempt = 0;  // 0: never started
  JobStatus status = JobStatus::succeeded;
  FailureKind failure_kind = FailureKind::none;
  bool tolerated = false;  // failed, but continue_on_error
  std::optional<int> exit_code;
  int signal = 0;
  std::string message;
  Value outputs = Object{};
  std::vector<StepResult> steps;
  std::string summary;
  Value annotations = List{};
  std::vector<ArtifactRef> artifacts;
  std::optional<CacheResult> cache;
};

using EventBody = std::variant<RunQueued, RunWaiting, RunStarted, RunCancelling, PhaseStarted,
                               RunFinished, SignalReceived, JobExpanded, JobReady, JobStarted,
                               JobWaiting, ApprovalRequested, ApprovalDecided, ApprovalExpired,
                               JobCancelling, JobRetrying, JobFinished, JobConfigured>;

struct Event {
  std::int64_t seq = 0;  // 1, 2, 3 … within the run
  Instant time;
  EventBody body;
};

std::string_view type_of(const Event& event);

}  // namespace mc
