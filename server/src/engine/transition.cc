#include "engine/transition.h"

#include "engine/conditions.h"
#include "engine/phases.h"
#include "engine/progress.h"

namespace mc::engine {
namespace {
// How a matrix ends once its last cell has.
JobFinished group_result(const RunState& run, NodeIndex node) {
  const JobState& group = run.jobs.at(node);
  JobFinished result{.node = node, .job = group.key};
  std::size_t skipped = 0, reused = 0;
  Object outputs;
  const JobState* worst = nullptr;
  for (const NodeIndex cell : group.cells) {
    const JobState& job = run.jobs.at(cell);
    skipped += job.status == JobStatus::skipped ? 1 : 0;
    reused += job.status == JobStatus::reused ? 1 : 0;
    result.tolerated |= job.tolerated;
    // The outputs of all cells under their names; where two share one, the later cell's stands.
    Value merged(std::move(outputs));
    for (const Member& output : job.outputs.as_object()) merged.set(output.first, output.second);
    outputs = std::move(merged.as_object());
    if (is_bad(job) && (worst == nullptr || worst->status == JobStatus::cancelled)) worst = &job;
    if (job.status == JobStatus::cancelled && worst == nullptr) worst = &job;
  }
  result.outputs = Value(std::move(outputs));
  if (worst != nullptr) {
    result.status = worst->status;
    result.failure_kind = worst->failure_kind;
    result.message = worst->key + ": " + worst->message;
    result.tolerated = false;
  } else if (skipped == group.cells.size()) {
    result.status = JobStatus::skipped;
  } else if (reused == group.cells.size()) {
    result.status = JobStatus::reused;
  }
  // A tolerated cell was counted as a warning already, and leaves the group succeeded.
  result.tolerated = false;
  return result;
}

void after_cell(Transition& t, NodeIndex cell) {
  const NodeIndex node = t.job(cell).parent;
  if (is_final(t.job(node).status)) return;
  const bool fail_fast = is_bad(t.job(cell)) && t.job(node).spec->fail_fast;
  if (fail_fast) {
    const std::vector<NodeIndex> siblings = t.job(node).cells;
    for (const NodeIndex sibling : siblings) cancel_node(t, sibling);
  } else {
    // After a cancel only groups that outlive it have cells left to start.
    start_cells(t, node);
  }
  if (t.job(node).open_needs == 0) t.emit(group_result(t.run(), node));
}

void after_job(Transition& t, NodeIndex node) {
  const Phase phase = t.job(node).phase;
  if (phase == Phase::compensate) {
    const NodeIndex next = node + 1;
    if (next < t.run().jobs.size() && t.job(next).phase == Phase::compensate) consider(t, next);
    return;
  }
  const NodeIndex first = first_node(t.run(), phase);
  for (const JobIndex dependent : dependents_of(*t.run().definition, phase).at(node - first)) {
    consider(t, first + dependent);
  }
}
}  // namespace

void Transition::emit(EventBody body) {
  Event event{.seq = run_.seq + 1, .time = ambient_.now, .body = std::move(body)};
  apply(run_, event);
  if (const auto* finished = std::get_if<JobFinished>(&event.body))
    finished_.push_back(finished->node);
  events_.push_back(std::move(event));
}

void Transition::finish(NodeIndex node, JobStatus status, FailureKind kind, std::string message) {
  const JobState& ending = job(node);
  const bool bad = status == JobStatus::failed || status == JobStatus::timed_out;
  emit(JobFinished{.node = node,
                   .job = ending.key,
                   .attempt = ending.attempt,
                   .status = status,
                   .failure_kind = kind,
                   .tolerated = bad && ending.spec->continue_on_error,
                   .message = std::move(message)});
}

void Transition::settle() {
  while (true) {
    while (!finished_.empty()) {
      const NodeIndex node = finished_.front();
      finished_.pop_front();
      if (job(node).parent != kNoNode && job(node).phase != Phase::compensate) {
        after_cell(*this, node);
      } else {
        after_job(*this, node);
      }
    }
    if (is_final(run_.status) || !run_.phase_begun || run_.phase_open > 0) return;
    next_phase(*this);
  }
}
}  // namespace mc::engine
