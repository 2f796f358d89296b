#include "engine/decide.h"

namespace mc::engine {

Result<Events> grant_job(RunState& run, NodeIndex node, const std::string& worker,
                         const Ambient& ambient) {
  if (node >= run.jobs.size() || run.jobs[node].status != JobStatus::ready) {
    return Error{Code::conflict, "the job is not ready", {}};
  }
  Transition t(run, ambient);
  const JobState& job = t.job(node);
  t.emit(JobStarted{.node = node,
                    .job = job.key,
                    .attempt = job.attempt + 1,
                    .fence = job.fence + 1,
                    .worker = worker});
  return t.take_events();
}

Events grant_lock(RunState& run, NodeIndex node, const Ambient& ambient) {
  if (node >= run.jobs.size()) return {};
  Transition t(run, ambient);
  const JobState& job = t.job(node);
  if (job.status != JobStatus::waiting || job.reason != Reason::lock) return {};
  t.emit(JobReady{.node = node, .job = job.key});
  return t.take_events();
}
}  // namespace mc::engine
