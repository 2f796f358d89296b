#include "engine/invariants.h"

#include <fmt/format.h>

namespace mc::engine {
namespace {
// Whether the engine itself, a worker's lease or another node will move this node on.
bool has_owner(const RunState& run, const JobState& job) {
  if (job.due) return true;
  if (job.status == JobStatus::running) return job.group && job.open_needs > 0;
  if (job.status != JobStatus::pending) return false;
  if (job.parent != kNoNode && job.phase == Phase::graph)
    return run.jobs[job.parent].active_cells > 0;
  return job.open_needs > 0 || !run.phase_begun;
}

std::optional<std::string> stuck(const RunState& run) {
  bool moving = !run.phase_begun;
  for (const JobState& job : run.jobs) {
    if (is_final(job.status) || !is_listed(run, job)) continue;
    moving |= static_cast<bool>(job.due);
    if (!has_owner(run, job)) {
      return fmt::format("{} is {} and nothing will move it on", job.key, to_name(job.status));
    }
    const bool silent = job.reason == Reason::none && job.status != JobStatus::running;
    if (silent) return fmt::format("{} is {} without a reason", job.key, to_name(job.status));
  }
  if (!moving) return "the run is open and no node has a deadline";
  return std::nullopt;
}

std::optional<std::string> miscounted(const RunState& run) {
  std::array<std::uint32_t, 13> counts{};
  std::set<std::pair<Instant, NodeIndex>> dues;
  std::uint32_t open = 0;
  for (NodeIndex i = 0; i < run.jobs.size(); ++i) {
    const JobState& job = run.jobs[i];
    if (job.due) dues.insert({job.due, i});
    if (is_listed(run, job)) ++counts.at(static_cast<std::size_t>(job.status));
    if (job.phase == run.phase && !is_final(job.status)) ++open;
  }
  if (dues != run.dues) return "the set of deadlines differs from the nodes' own";
  if (counts != run.counts) return "the counts of statuses differ from the nodes";
  if (open != run.phase_open) return "the number of open nodes is wrong";
  return std::nullopt;
}
}  // namespace

std::optional<std::string> violation(const RunState& run) {
  if (run.seq == 0) return std::nullopt;
  if (auto wrong = miscounted(run)) return wrong;
  if (is_final(run.status)) {
    if (!run.dues.empty() || run.deadline) return "the run is final and still has deadlines";
    return std::nullopt;
  }
  if (!run.deadline && !run.cancel_requested) return "the run has no deadline";
  return stuck(run);
}
}  // namespace mc::engine
