#include "conductor/history.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace mc::conductor {
namespace {
std::optional<Estimate> median(std::vector<Millis> times) {
  if (times.empty()) return std::nullopt;
  std::sort(times.begin(), times.end());
  const std::size_t middle = times.size() / 2;
  const Millis time =
      times.size() % 2 == 1 ? times[middle] : (times[middle - 1] + times[middle]) / 2;
  return Estimate{time, times.size()};
}
}  // namespace

Estimate operator+(const Estimate& a, const Estimate& b) {
  return {a.time + b.time, std::min(a.runs, b.runs)};
}

Estimate later_of(const Estimate& a, const Estimate& b) {
  return {std::max(a.time, b.time), std::min(a.runs, b.runs)};
}

Estimate rest_of(const Estimate& usual, Instant began, Instant now) {
  if (!began) return usual;
  return {std::max(Millis(0), usual.time - (now - began)), usual.runs};
}

std::optional<Estimate> wait_behind(const std::vector<Estimate>& holders,
                                    const std::vector<Estimate>& ahead) {
  const auto later = [](const Estimate& a, const Estimate& b) { return a.time > b.time; };
  std::priority_queue<Estimate, std::vector<Estimate>, decltype(later)> free(later, holders);
  if (free.empty()) return std::nullopt;
  for (const Estimate& next : ahead) {
    const Estimate at = free.top();
    free.pop();
    free.push(at + next);
  }
  return free.top();
}

bool History::Workflow::add(std::int64_t number, Millis took) {
  const bool known =
      std::any_of(runs_.begin(), runs_.end(), [&](const auto& run) { return run.first == number; });
  if (known) return false;
  runs_.emplace_back(number, took);
  if (runs_.size() > kRunsMax) runs_.pop_front();
  return true;
}

void History::Workflow::add(const engine::RunState& run) {
  if (!add(run.facts.number, run.finished_at - run.started_at)) return;
  for (const engine::JobState& job : run.jobs) {
    if (job.status != JobStatus::succeeded || !job.started_at) continue;
    auto times = jobs_.find(job.key);
    if (times == jobs_.end()) {
      if (jobs_.size() >= kJobsMax) continue;
      times = jobs_.try_emplace(job.key).first;
    }
    times->second.push_back(job.finished_at - job.started_at);
    if (times->second.size() > kRunsMax) times->second.pop_front();
  }
}

std::optional<Estimate> History::Workflow::whole() const {
  std::vector<Millis> times;
  for (const auto& [number, took] : runs_) times.push_back(took);
  return median(std::move(times));
}

std::optional<Estimate> History::Workflow::job(const std::string& key) const {
  const auto times = jobs_.find(key);
  if (times == jobs_.end()) return std::nullopt;
  return median({times->second.begin(), times->second.end()});
}

History::Workflow* History::find(const std::string& project, const std::string& workflow) {
  const auto found = std::find_if(workflows_.begin(), workflows_.end(), [&](const auto& entry) {
    return entry.first.first == project && entry.first.second == workflow;
  });
  if (found == workflows_.end()) return nullptr;
  workflows_.splice(workflows_.begin(), workflows_, found);
  return &workflows_.front().second;
}

History::Workflow& History::open(const std::string& project, const std::string& workflow) {
  workflows_.emplace_front(Key{project, workflow}, Workflow());
  if (workflows_.size() > kWorkflowsMax) workflows_.pop_back();
  return workflows_.front().second;
}

void History::note(const engine::RunState& run) {
  if (run.status != RunStatus::succeeded || !run.facts.kept.empty()) return;
  const auto found = std::find_if(workflows_.begin(), workflows_.end(), [&](const auto& entry) {
    return entry.first == Key{run.facts.project, run.facts.workflow};
  });
  if (found != workflows_.end()) found->second.add(run);
}

void History::clear() { workflows_.clear(); }
}  // namespace mc::conductor
