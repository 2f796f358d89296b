#include "engine/decide.h"
#include "engine/progress.h"

namespace mc::engine {

Events finish_child(RunState& run, NodeIndex node, const ChildResult& result,
                    const Ambient& ambient) {
  if (node >= run.jobs.size()) return {};
  const JobState& job = run.jobs[node];
  if (job.status != JobStatus::waiting || job.reason != Reason::child ||
      job.attempt != result.attempt) {
    return {};
  }
  Transition t(run, ambient);
  if (result.status == RunStatus::succeeded) {
    t.emit(JobFinished{.node = node,
                       .job = job.key,
                       .attempt = job.attempt,
                       .status = JobStatus::succeeded,
                       .outputs = result.outputs});
  } else {
    const bool timed_out = result.status == RunStatus::timed_out;
    fail_attempt(t, node,
                 {.kind = timed_out ? FailureKind::timeout : FailureKind::user,
                  .status = result.status == RunStatus::denied ? JobStatus::denied
                            : timed_out                        ? JobStatus::timed_out
                                                               : JobStatus::failed,
                  .message = result.message},
                 nullptr);
  }
  t.settle();
  return t.take_events();
}
}  // namespace mc::engine
