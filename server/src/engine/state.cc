#include "engine/state.h"

#include <algorithm>

#include "base/check.h"
#include "lang/late.h"

namespace mc::engine {

NodeIndex first_node(const RunState& run, Phase phase) {
  const WorkflowSpec& spec = run.definition->spec;
  switch (phase) {
    case Phase::graph: return 0;
    case Phase::on_failure: return static_cast<NodeIndex>(spec.jobs.size());
    case Phase::finally: return static_cast<NodeIndex>(spec.jobs.size() + spec.on_failure.size());
    case Phase::compensate: break;
  }
  MC_CHECK(false);
}

Instant next_due(const RunState& run) {
  if (is_final(run.status)) return {};
  Instant due = run.deadline;
  if (!run.dues.empty() && (!due || run.dues.begin()->first < due)) due = run.dues.begin()->first;
  return due;
}

const JobState* find_job(const RunState& run, std::string_view key) {
  const auto found = run.by_key.find(std::string(key));
  return found == run.by_key.end() ? nullptr : &run.jobs.at(found->second);
}

void configure(JobState& job, Value settings) {
  // They were checked before they were recorded; should a later version of the language refuse
  // them, the job has its defaults.
  Result<JobSpec> own = lang::with_settings(*job.spec, settings);
  job.settings = std::move(settings);
  if (!own) return;
  job.own = std::make_shared<const JobSpec>(std::move(*own));
  job.spec = job.own.get();
}

JobDetail& detail_of(JobState& job) {
  if (!job.detail) job.detail = std::make_unique<JobDetail>();
  return *job.detail;
}

bool is_fine(const JobState& job) {
  return job.status == JobStatus::succeeded || job.status == JobStatus::reused || job.tolerated;
}

bool is_bad(const JobState& job) {
  return !job.tolerated && (job.status == JobStatus::failed || job.status == JobStatus::timed_out ||
                            job.status == JobStatus::denied);
}

bool is_listed(const RunState& run, const JobState& job) {
  if (job.group && !job.cells.empty()) return false;
  if (job.phase == Phase::graph) return true;
  // Phases come in order; compensation nodes exist only once theirs has begun.
  const auto rank = [](Phase phase) { return static_cast<int>(phase); };
  return rank(job.phase) <= rank(run.phase) &&
         (job.phase != Phase::on_failure || job.finished_at || job.status != JobStatus::pending ||
          run.phase == Phase::on_failure);
}

std::string_view to_name(Phase phase) {
  switch (phase) {
    case Phase::graph: return "graph";
    case Phase::on_failure: return "on_failure";
    case Phase::compensate: return "compensate";
    case Phase::finally: return "finally";
  }
  return "";
}
}  // namespace mc::engine
