#include "engine/apply.h"

#include <algorithm>

#include "base/check.h"
#include "engine/limits.h"

namespace mc::engine {
namespace {

void set_due(RunState& run, NodeIndex node, Instant due) {
  JobState& job = run.jobs.at(node);
  if (job.due == due) return;
  if (job.due) run.dues.erase({job.due, node});
  job.due = due;
  if (due) run.dues.insert({due, node});
}

bool is_leaf(const JobState& job) { return !job.group || job.cells.empty(); }

std::uint32_t& count_of(RunState& run, JobStatus status) {
  return run.counts.at(static_cast<std::size_t>(status));
}

bool is_active(JobStatus status) { return status != JobStatus::pending && !is_final(status); }

// Keeps what max_parallel asks: how many cells are at work, and which pending one is the next.
void count_cell(JobState& group, const RunState& run, bool was_active, bool active) {
  if (active && !was_active) ++group.active_cells;
  if (was_active && !active) --group.active_cells;
  while (group.next_cell < group.cells.size() &&
         run.jobs.at(group.cells[group.next_cell]).status != JobStatus::pending) {
    ++group.next_cell;
  }
}

void set_status(RunState& run, NodeIndex node, JobStatus status, Reason reason, Instant now) {
  JobState& job = run.jobs.at(node);
  MC_CHECK(!is_final(job.status));
  if (is_leaf(job)) {
    --count_of(run, job.status);
    ++count_of(run, status);
  }
  const bool was_active = is_active(job.status);
  job.status = status;
  job.reason = reason;
  job.since = now;
  if (job.parent != kNoNode && job.phase != Phase::compensate) {
    count_cell(run.jobs.at(job.parent), run, was_active, is_active(status));
  }
  if (is_final(status)) {
    MC_CHECK(run.phase_open > 0);
    --run.phase_open;
  }
}

NodeIndex add_node(RunState& run, const JobSpec& spec, std::string key, Phase phase) {
  const auto node = static_cast<NodeIndex>(run.jobs.size());
  JobState& job = run.jobs.emplace_back();
  job.key = std::move(key);
  job.spec = &spec;
  job.phase = phase;
  job.group = spec.matrix.has_value();
  job.open_needs = static_cast<std::uint32_t>(spec.needs.size());
  run.by_key.emplace(job.key, node);
  return node;
}

// Nodes of a phase that begins now are counted from here on.
void open_phase(RunState& run, Phase phase, Instant now) {
  run.phase = phase;
  run.phase_open = 0;
  for (JobState& job : run.jobs) {
    if (job.phase != phase || job.parent != kNoNode) continue;
    job.since = now;
    ++run.phase_open;
    if (phase != Phase::graph) ++count_of(run, job.status);
  }
}

// Succeeded jobs that say how to be undone, last finished first, each waiting for the one before.
void add_compensations(RunState& run, Instant now) {
  std::vector<NodeIndex> done;
  for (NodeIndex i = 0; i < run.jobs.size(); ++i) {
    const JobState& job = run.jobs[i];
    if (job.phase == Phase::graph && is_leaf(job) && job.status == JobStatus::succeeded &&
        !job.spec->compensate.empty()) {
      done.push_back(i);
    }
  }
  std::sort(done.begin(), done.end(), [&](NodeIndex a, NodeIndex b) {
    return run.jobs[a].finished_at > run.jobs[b].finished_at ||
           (run.jobs[a].finished_at == run.jobs[b].finished_at && a > b);
  });
  for (const NodeIndex of : done) {
    const JobSpec& spec = *run.jobs[of].spec;
    const NodeIndex node = add_node(run, spec, run.jobs[of].key + ":compensate", Phase::compensate);
    JobState& job = run.jobs[node];
    job.group = false;
    job.since = now;
    job.matrix = run.jobs[of].matrix;
    job.parent = of;
    job.open_needs = of == done.front() ? 0 : 1;
    ++count_of(run, JobStatus::pending);
    ++run.phase_open;
  }
}

// Tells those that wait for `node` that it is final.
void release_dependents(RunState& run, NodeIndex node) {
  JobState& job = run.jobs.at(node);
  const bool failed = is_bad(job) || job.ancestor_failed;
  if (job.phase == Phase::compensate) {
    if (node + 1 < run.jobs.size() && run.jobs[node + 1].phase == Phase::compensate) {
      run.jobs[node + 1].open_needs = 0;
    }
    return;
  }
  if (job.parent != kNoNode) {
    JobState& group = run.jobs.at(job.parent);
    MC_CHECK(group.open_needs > 0);
    --group.open_needs;
    return;
  }
  const NodeIndex first = first_node(run, job.phase);
  for (const JobIndex dependent : dependents_of(*run.definition, job.phase).at(node - first)) {
    JobState& waiting = run.jobs.at(first + dependent);
    MC_CHECK(waiting.open_needs > 0);
    --waiting.open_needs;
    waiting.ancestor_failed |= failed;
  }
}

void end_attempt(JobState& job, Instant now, JobStatus status, FailureKind kind,
                 std::optional<int> exit_code, int signal, const std::string& message,
                 std::vector<StepResult> steps) {
  if (!job.detail || job.detail->attempts.empty()) return;
  Attempt& attempt = job.detail->attempts.back();
  if (attempt.finished_at) return;
  attempt.status = status;
  attempt.failure_kind = kind;
  attempt.exit_code = exit_code;
  attempt.signal = signal;
  attempt.message = message;
  attempt.finished_at = now;
  attempt.steps = std::move(steps);
}

struct Applier {
  RunState& run;
  Instant now;

  JobState& at(NodeIndex node) { return run.jobs.at(node); }

  void operator()(const RunQueued& e) {
    run.facts = e;
    run.created_at = now;
    run.warnings = e.warnings;
    const WorkflowSpec& spec = run.definition->spec;
    for (const JobSpec& job : spec.jobs) add_node(run, job, job.key, Phase::graph);
    for (const JobSpec& job : spec.on_failure) add_node(run, job, job.key, Phase::on_failure);
    for (const JobSpec& job : spec.finally) add_node(run, job, job.key, Phase::finally);
    count_of(run, JobStatus::pending) = static_cast<std::uint32_t>(spec.jobs.size());
    for (const KeptJob& kept : e.kept) run.kept.emplace(kept.key, kept);
    run.deadline = now + (spec.timeout.count() > 0 ? spec.timeout : kRunTimeout);
    open_phase(run, Phase::graph, now);
  }
  void operator()(const RunWaiting& e) {
    run.status = RunStatus::waiting;
    run.reason = e.reason;
  }
  void operator()(const RunStarted&) {
    if (!is_final(run.status) && run.status != RunStatus::cancelling) {
      run.status = RunStatus::running;
      run.reason = Reason::none;
    }
    run.phase_begun = true;
    run.started_at = now;
  }
  void operator()(const RunCancelling& e) {
    run.status = RunStatus::cancelling;
    run.reason = Reason::cancel;
    run.cancel_requested = true;
    run.run_timed_out = e.timed_out;
    run.cancelled_by = e.by;
    if (run.message.empty()) run.message = e.message;
    run.deadline = {};
    for (NodeIndex node = 0; node < run.jobs.size(); ++node) {
      if (run.jobs[node].due) set_due(run, node, std::min(run.jobs[node].due, now + kCancelled));
    }
  }
  void operator()(const PhaseStarted& e) {
    open_phase(run, e.phase, now);
    if (e.phase == Phase::compensate) add_compensations(run, now);
    if (run.status == RunStatus::waiting) run.status = RunStatus::running;
    if (run.status == RunStatus::running) run.reason = Reason::settling;
  }
  void operator()(const RunFinished& e) {
    run.status = e.status;
    run.reason = Reason::none;
    run.failure_kind = e.failure_kind;
    if (!e.message.empty()) run.message = e.message;
    run.outputs = e.outputs;
    run.finished_at = now;
    run.deadline = {};
    run.signals.clear();
  }
  void operator()(const SignalReceived& e) {
    run.signals[e.event].push_back(e.data);
    ++run.signal_count;
  }
  void operator()(const JobExpanded& e) {
    const JobSpec& spec = *at(e.node).spec;
    --count_of(run, at(e.node).status);
    std::vector<NodeIndex> cells;
    for (const MatrixCell& cell : e.cells) {
      const NodeIndex node =
          add_node(run, spec, at(e.node).key + "[" + cell.label + "]", at(e.node).phase);
      JobState& job = at(node);
      job.group = false;
      job.parent = e.node;
      job.matrix = cell.values;
      job.open_needs = 0;
      job.reason = Reason::matrix_limit;
      job.since = now;
      job.ancestor_failed = at(e.node).ancestor_failed;
      ++count_of(run, JobStatus::pending);
      ++run.phase_open;
      cells.push_back(node);
    }
    JobState& group = at(e.node);
    group.cells = std::move(cells);
    group.open_needs = static_cast<std::uint32_t>(group.cells.size());
    group.status = JobStatus::running;
    group.reason = Reason::none;
    group.started_at = now;
    group.since = now;
  }
  void operator()(const JobConfigured& e) { configure(at(e.node), e.settings); }
  void operator()(const JobReady& e) {
    JobState& job = at(e.node);
    if (job.reason == Reason::lock) job.holds_lock = true;
    set_status(run, e.node, JobStatus::ready, Reason::capacity, now);
    job.ready_at = now;
    const Millis patience =
        job.spec->timeout_queue.count() > 0 ? job.spec->timeout_queue : kQueueTimeout;
    set_due(run, e.node, now + bounded(job, patience));
  }
  void operator()(const JobStarted& e) {
    set_status(run, e.node, JobStatus::running, Reason::none, now);
    JobState& job = at(e.node);
    job.attempt = e.attempt;
    job.fence = e.fence;
    job.worker = e.worker;
    if (!job.started_at) job.started_at = now;
    Attempt attempt;
    attempt.number = e.attempt;
    attempt.worker = e.worker;
    attempt.started_at = now;
    detail_of(job).attempts.push_back(std::move(attempt));
    const Millis limit = job.spec->timeout_run.count() > 0 ? job.spec->timeout_run : kJobRunTimeout;
    set_due(run, e.node,
            now + bounded(job, limit + kCancelLadder + kFinallyTimeout) + kWorkerSlack);
  }
  void operator()(const JobWaiting& e) {
    set_status(run, e.node, JobStatus::waiting, e.reason, now);
    JobState& job = at(e.node);
    if (!job.ready_at) job.ready_at = now;
    if (!job.started_at && e.reason != Reason::lock) job.started_at = now;
    job.wait_detail = e.detail;
    if (e.reason == Reason::child) {
      ++job.attempt;
      detail_of(job).child_inputs = e.inputs;
    }
    set_due(run, e.node, e.until);
  }
  void operator()(const ApprovalRequested& e) {
    set_status(run, e.node, JobStatus::waiting, Reason::approval, now);
    JobState& job = at(e.node);
    job.ready_at = now;
    job.started_at = now;
    detail_of(job).approval = Approval{e.approval, e, now, {}};
    set_due(run, e.node, e.expires_at);
  }
  void operator()(const ApprovalDecided& e) {
    detail_of(at(e.node)).approval->votes.push_back({e.by, e.approved, e.comment, now});
  }
  void operator()(const ApprovalExpired&) {}
  void operator()(const JobCancelling& e) {
    set_status(run, e.node, JobStatus::cancelling, Reason::cancel, now);
    at(e.node).cancel_timed_out = e.timed_out;
    set_due(run, e.node, e.until);
  }
  void operator()(const JobRetrying& e) {
    JobState& job = at(e.node);
    end_attempt(job, now, JobStatus::failed, e.failure_kind, e.exit_code, e.signal, e.message,
                e.steps);
    set_status(run, e.node, JobStatus::retrying, Reason::backoff, now);
    job.failure_kind = e.failure_kind;
    job.message = e.message;
    job.worker.clear();
    set_due(run, e.node, e.until);
  }
  void operator()(const JobFinished& e) {
    JobState& job = at(e.node);
    take_signal(job, e);
    end_attempt(job, now, e.status, e.failure_kind, e.exit_code, e.signal, e.message, e.steps);
    set_status(run, e.node, e.status, Reason::none, now);
    set_due(run, e.node, {});
    job.failure_kind = e.failure_kind;
    job.tolerated = e.tolerated;
    job.message = e.message;
    job.outputs = e.outputs;
    job.finished_at = now;
    if (!e.summary.empty() || !e.annotations.as_list().empty() || !e.artifacts.empty() || e.cache) {
      JobDetail& detail = detail_of(job);
      detail.summary = e.summary;
      detail.annotations = e.annotations;
      detail.artifacts = e.artifacts;
      detail.cache = e.cache;
    }
    if (e.tolerated) ++run.warnings;
    release_dependents(run, e.node);
  }

 private:
  // What a cancel leaves to jobs that go on after it.
  static constexpr Millis kCancelled = kCancelLadder + kFinallyTimeout + kWorkerSlack;

  // After a cancel everything that still starts is bounded.
  Millis bounded(const JobState& job, Millis limit) const {
    return run.cancel_requested || job.phase == Phase::compensate ? std::min(limit, kFinallyTimeout)
                                                                  : limit;
  }

  // A wait for a signal that ends well has used up the oldest one.
  void take_signal(const JobState& job, const JobFinished& e) {
    if (job.reason != Reason::signal || e.status != JobStatus::succeeded) return;
    const auto kept = run.signals.find(job.wait_detail);
    if (kept == run.signals.end()) return;
    kept->second.erase(kept->second.begin());
    --run.signal_count;
    if (kept->second.empty()) run.signals.erase(kept);
  }
};

}  // namespace

RunState empty_run(Uuid id, DefinitionRef definition) {
  RunState run;
  run.id = id;
  run.definition = std::move(definition);
  return run;
}

void apply(RunState& run, const Event& event) {
  MC_CHECK(event.seq == run.seq + 1);
  run.seq = event.seq;
  run.updated_at = event.time;
  std::visit(Applier{run, event.time}, event.body);
}

Result<RunState> replay(Uuid id, DefinitionRef definition, const std::vector<Event>& events) {
  return replay_on(empty_run(id, std::move(definition)), events);
}

Result<RunState> replay_on(RunState run, const std::vector<Event>& events) {
  for (const Event& event : events) {
    if (event.seq != run.seq + 1) {
      return Error{Code::store_failed,
                   "the history of run " + to_string(run.id) + " has a gap after event " +
                       std::to_string(run.seq),
                   {}};
    }
    apply(run, event);
  }
  return run;
}
}  // namespace mc::engine
