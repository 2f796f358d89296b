#include "engine/rerun.h"

#include <algorithm>
#include <deque>

#include "base/check.h"
#include "base/text.h"

namespace mc::engine {
namespace {
// Marks a node and all that comes after it. Marking a group marks its cells; marking a cell marks
// what follows its group, not the other cells.
class Marks {
 public:
  explicit Marks(const RunState& run) : run_(run), marked_(run.jobs.size()) {}

  void mark(NodeIndex node) {
    push(node);
    while (!queue_.empty()) {
      const NodeIndex next = queue_.front();
      queue_.pop_front();
      follow(next);
    }
  }
  bool operator[](NodeIndex node) const { return marked_.at(node); }

 private:
  void push(NodeIndex node) {
    if (marked_.at(node)) return;
    marked_.at(node) = true;
    queue_.push_back(node);
  }
  void follow(NodeIndex node) {
    const JobState& job = run_.jobs.at(node);
    if (job.phase != Phase::graph) return;
    for (const NodeIndex cell : job.cells) push(cell);
    const NodeIndex own = job.parent != kNoNode ? job.parent : node;
    for (const JobIndex dependent : run_.definition->graph_dependents.at(own)) push(dependent);
  }

  const RunState& run_;
  std::vector<bool> marked_;
  std::deque<NodeIndex> queue_;
};

bool is_there(const ArtifactRef& artifact, const JobState& job, const ArtifactLife& life) {
  return job.finished_at + (artifact.keep_ms > 0 ? Millis(artifact.keep_ms) : life.keep) > life.now;
}

bool keepable(const JobState& job, const ArtifactLife& life) {
  if (job.status != JobStatus::succeeded && job.status != JobStatus::reused) return false;
  return !job.detail || std::ranges::all_of(job.detail->artifacts, [&](const ArtifactRef& each) {
    return is_there(each, job, life);
  });
}

Error unknown_job(const RunState& run, const std::string& from) {
  std::vector<std::string> keys;
  for (const JobState& job : run.jobs) keys.push_back(job.key);
  const auto near = nearest(from, keys);
  return Error{Code::job_not_found,
               "the run has no job " + from + (near ? "; did you mean " + *near + "?" : ""),
               {}};
}
}  // namespace

Result<RerunPlan> plan_rerun(const RunState& old, RerunScope scope, const std::string& from,
                             const ArtifactLife& life) {
  MC_CHECK(is_final(old.status));
  Marks again(old);
  if (scope == RerunScope::from) {
    const auto found = old.by_key.find(from);
    if (found == old.by_key.end() || old.jobs.at(found->second).phase != Phase::graph) {
      return unknown_job(old, from);
    }
    again.mark(found->second);
  }
  for (NodeIndex node = 0; node < old.jobs.size(); ++node) {
    const JobState& job = old.jobs[node];
    const bool leaf = !job.group || job.cells.empty();
    if (scope == RerunScope::all || (leaf && !keepable(job, life))) again.mark(node);
  }
  RerunPlan plan;
  for (NodeIndex node = 0; node < old.jobs.size(); ++node) {
    const JobState& job = old.jobs[node];
    if (job.phase != Phase::graph || (job.group && !job.cells.empty())) continue;
    if (!again[node]) {
      plan.kept.push_back(
          {job.key, job.outputs, job.detail ? job.detail->artifacts : std::vector<ArtifactRef>{}});
    } else if (job.spec->effects == Effects::external &&
               (job.attempt > 0 || job.status == JobStatus::reused)) {
      plan.repeats.push_back(job.key);
    }
  }
  return plan;
}
}  // namespace mc::engine
