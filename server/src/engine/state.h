// A run as the engine holds it in memory: a fold of its events. Only apply (engine/apply.h) changes
// it.
//
// Invariants (checked by engine/invariants.h, after every step of the tests and the simulator):
//  1. A node that is not final has a reason, and a `due` instant or an owner that has one.
//  2. `dues` holds (due, node) for exactly the nodes whose due is set.
//  3. `counts` equals the number of leaf nodes in each status, over phases that have begun.
//  4. Final states of nodes and runs never change; a fence never repeats within a node.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"
#include "engine/definition.h"
#include "model/event.h"

namespace mc::engine {

inline constexpr NodeIndex kNoNode = 0xffffffff;

struct Attempt {
  int number = 1;
  JobStatus status = JobStatus::running;
  FailureKind failure_kind = FailureKind::none;
  std::string worker;
  std::optional<int> exit_code;
  int signal = 0;
  std::string message;
  Instant started_at;
  Instant finished_at;
  std::vector<StepResult> steps;
};

struct Vote {
  std::string by;
  bool approved = false;
  std::string comment;
  Instant at;
};
struct Approval {
  Uuid id;
  ApprovalRequested request;
  Instant requested_at;
  std::vector<Vote> votes;
};

// What only some nodes have; kept apart so that a node of a large run stays small.
struct JobDetail {
  std::vector<Attempt> attempts;
  std::string summary;
  Value annotations = List{};
  std::vector<ArtifactRef> artifacts;
  std::optional<CacheResult> cache;
  std::optional<Approval> approval;
  Value child_inputs;
};

struct JobState {
  std::string key;
  const JobSpec* spec = nullptr;  // in the run's definition
  Phase phase = Phase::graph;
  bool group = false;          // a job with a matrix: done when its cells are
  NodeIndex parent = kNoNode;  // a cell's group; a compensation's job
  JobStatus status = JobStatus::pending;
  Reason reason = Reason::upstream;
  FailureKind failure_kind = FailureKind::none;
  bool tolerated = false;         // failed, but continue_on_error
  bool ancestor_failed = false;   // some need, or need of a need, failed
  bool holds_lock = false;        // of its own concurrency group, named by `wait_detail`
  bool cancel_timed_out = false;  // cancelling because its time is up
  int attempt = 0;                // 0: not started yet
  std::int64_t fence = 0;
  std::uint32_t open_needs = 0;  // needs that are not final; a group: cells that are not
  std::uint32_t active_cells = 0;
  std::uint32_t next_cell = 0;   // group: place in `cells` of the first that was not let go yet
  std::vector<NodeIndex> cells;  // group: in matrix order
  Instant ready_at, started_at, finished_at;
  Instant since;  // when it came to this status and reason; 0: an older snapshot did not say
  Instant due;    // when the engine acts by itself; 0: not
  std::string worker;
  std::string wait_detail;  // name of the signal, lock group or child workflow
  std::string message;
  Value matrix;
  Value outputs = Object{};
  // Of settings that were expressions, by their places; null: none. `own` is then what `spec` is.
  Value settings;
  std::shared_ptr<const JobSpec> own;
  std::unique_ptr<JobDetail> detail;
};

struct RunState {
  Uuid id;
  DefinitionRef definition;
  RunQueued facts;  // what it was created with
  RunStatus status = RunStatus::queued;
  Reason reason = Reason::none;
  FailureKind failure_kind = FailureKind::none;
  std::string message;
  bool cancel_requested = false;
  bool run_timed_out = false;
  std::string cancelled_by;
  Phase phase = Phase::graph;
  bool phase_begun = false;  // RunStarted was seen
  Value outputs = Object{};
  int warnings = 0;
  Instant created_at, started_at, finished_at, updated_at;
  Instant deadline;  // the run's own time-out
  std::int64_t seq = 0;
  std::vector<JobState> jobs;
  std::unordered_map<std::string, NodeIndex> by_key;
  std::map<std::string, KeptJob> kept;  // re-run: jobs that are not run again
  std::set<std::pair<Instant, NodeIndex>> dues;
  std::array<std::uint32_t, 13> counts{};  // leaf nodes by JobStatus
  std::uint32_t phase_open = 0;            // nodes of the current phase that are not final
  std::map<std::string, std::vector<Value>> signals;  // received, not asked for yet
  std::size_t signal_count = 0;
};

// First node of a list: graph 0, then on_failure, then finally, then what came later.
NodeIndex first_node(const RunState& run, Phase phase);
// The moment at which the engine wants FireTimers; 0: none.
Instant next_due(const RunState& run);
const JobState* find_job(const RunState& run, std::string_view key);
JobDetail& detail_of(JobState& job);
// Gives the node a specification of its own, with `settings`.
void configure(JobState& job, Value settings);
// Whether `success()` counts it as fine: succeeded, reused, or failed but tolerated.
bool is_fine(const JobState& job);
// failed, timed_out or denied, and not tolerated.
bool is_bad(const JobState& job);
// Is listed: its phase has begun. Groups that were expanded are not (their cells are).
bool is_listed(const RunState& run, const JobState& job);
std::string_view to_name(Phase phase);

}  // namespace mc::engine
