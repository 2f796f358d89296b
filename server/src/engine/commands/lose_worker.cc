#include "engine/decide.h"
#include "engine/progress.h"

namespace mc::engine {

Events lose_worker(RunState& run, NodeIndex node, std::int64_t fence, const Ambient& ambient) {
  if (node >= run.jobs.size() || run.jobs[node].fence != fence) return {};
  const JobState& job = run.jobs[node];
  if (job.status != JobStatus::running && job.status != JobStatus::cancelling) return {};
  Transition t(run, ambient);
  const std::string message = "the worker " + job.worker + " was not heard of in time";
  if (job.status == JobStatus::cancelling) {
    t.finish(node, JobStatus::cancelled, FailureKind::lost_worker, message);
  } else {
    fail_attempt(t, node, {.kind = FailureKind::lost_worker, .message = message}, nullptr);
  }
  t.settle();
  return t.take_events();
}
}  // namespace mc::engine
