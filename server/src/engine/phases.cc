#include "engine/phases.h"

#include <algorithm>

#include "engine/conditions.h"
#include "engine/progress.h"

namespace mc::engine {
namespace {
// The run's status as far as it is known: what the nodes that are final say.
RunStatus verdict(const RunState& run) {
  if (run.run_timed_out) return RunStatus::timed_out;
  if (run.cancel_requested) return RunStatus::cancelled;
  RunStatus status = RunStatus::succeeded;
  for (const JobState& job : run.jobs) {
    if (job.parent != kNoNode && job.phase == Phase::graph)
      continue;  // its group speaks for a cell
    if (job.status == JobStatus::denied) return RunStatus::denied;
    if (is_bad(job) || job.status == JobStatus::cancelled) status = RunStatus::failed;
  }
  return status;
}

// The first node that went wrong, for the run's message and kind.
const JobState* culprit(const RunState& run) {
  const JobState* first = nullptr;
  for (const JobState& job : run.jobs) {
    if (!is_bad(job) || (job.group && !job.cells.empty())) continue;
    if (first == nullptr || job.finished_at < first->finished_at) first = &job;
  }
  return first;
}

bool has_compensation(const RunState& run) {
  return std::any_of(run.jobs.begin(), run.jobs.end(), [](const JobState& job) {
    return job.phase == Phase::graph && job.status == JobStatus::succeeded &&
           !job.spec->compensate.empty() && (!job.group || job.cells.empty());
  });
}

bool has_work(const RunState& run, Phase phase) {
  const RunStatus status = verdict(run);
  switch (phase) {
    case Phase::graph: return true;
    case Phase::on_failure:
      return !run.definition->spec.on_failure.empty() && status != RunStatus::succeeded &&
             status != RunStatus::cancelled;
    case Phase::compensate: return status != RunStatus::succeeded && has_compensation(run);
    case Phase::finally: return !run.definition->spec.finally.empty();
  }
  return false;
}

void finish_run(Transition& t) {
  const RunState& run = t.run();
  RunFinished end{.status = verdict(run)};
  if (const JobState* bad = culprit(run); bad != nullptr && end.status != RunStatus::cancelled) {
    end.failure_kind = bad->failure_kind;
    end.message = "job " + bad->key + " " + std::string(to_name(bad->status)) +
                  (bad->message.empty() ? "" : ": " + bad->message);
  }
  if (end.status == RunStatus::timed_out) end.failure_kind = FailureKind::timeout;
  if (end.status == RunStatus::timed_out || end.status == RunStatus::cancelled) end.message.clear();
  if (end.status == RunStatus::succeeded) {
    RunScope world(run, kNoNode, t.ambient());
    Object outputs;
    for (const auto& [name, text] : run.definition->spec.outputs) {
      const Result<Value> value = lang::evaluate_template(text, world.scope());
      if (!value) {
        end.status = RunStatus::failed;
        end.failure_kind = FailureKind::user;
        end.message = "output " + name + ": " + value.error().message;
        break;
      }
      outputs.emplace_back(name, *value);
    }
    end.outputs = Value(std::move(outputs));
  }
  t.emit(std::move(end));
}
}  // namespace

void start_roots(Transition& t) {
  const Phase phase = t.run().phase;
  // Nodes may come to be while these start; only those that were there wait for nobody.
  const auto count = static_cast<NodeIndex>(t.run().jobs.size());
  for (NodeIndex node = 0; node < count; ++node) {
    const JobState& job = t.job(node);
    const bool cell = job.parent != kNoNode && phase != Phase::compensate;
    if (job.phase == phase && !cell && job.open_needs == 0) consider(t, node);
  }
}

void end_unbegun(Transition& t) {
  t.emit(RunStarted{});
  const auto count = static_cast<NodeIndex>(t.run().jobs.size());
  for (NodeIndex node = 0; node < count; ++node) {
    if (t.job(node).phase != Phase::graph) continue;
    t.emit(JobFinished{.node = node,
                       .job = t.job(node).key,
                       .status = JobStatus::skipped,
                       .message = "the run ended before it began"});
  }
  finish_run(t);
}

void next_phase(Transition& t) {
  for (const Phase phase : {Phase::on_failure, Phase::compensate, Phase::finally}) {
    if (phase <= t.run().phase || !has_work(t.run(), phase)) continue;
    t.emit(PhaseStarted{phase});
    start_roots(t);
    return;
  }
  finish_run(t);
}
}  // namespace mc::engine
