#include "conductor/dispatcher.h"

#include <algorithm>

#include "base/text.h"

namespace mc::conductor {
namespace {
bool covers(const std::vector<std::string>& have, const std::set<std::string>& want) {
  return std::all_of(want.begin(), want.end(), [&](const std::string& label) {
    return std::find(have.begin(), have.end(), label) != have.end();
  });
}
}  // namespace

void Dispatcher::add(const std::vector<std::string>& labels, Uuid run, NodeIndex node) {
  const std::set<std::string> wanted(labels.begin(), labels.end());
  const std::vector<std::string> sorted(wanted.begin(), wanted.end());
  Bucket& bucket = buckets_[join(sorted, "\n")];
  bucket.labels = wanted;
  bucket.jobs.push_back({run, node, next_order_++});
  ++ready_;
}

std::optional<ReadyJob> Dispatcher::take(const WorkerInfo& worker) {
  auto oldest = buckets_.end();
  for (auto it = buckets_.begin(); it != buckets_.end(); ++it) {
    if (it->second.jobs.empty() || !covers(worker.labels, it->second.labels)) continue;
    if (oldest == buckets_.end() ||
        it->second.jobs.front().order < oldest->second.jobs.front().order) {
      oldest = it;
    }
  }
  if (oldest == buckets_.end()) return std::nullopt;
  const ReadyJob job = oldest->second.jobs.front();
  oldest->second.jobs.pop_front();
  if (oldest->second.jobs.empty()) buckets_.erase(oldest);
  --ready_;
  return job;
}

bool Dispatcher::anyone_fits(const std::vector<std::string>& labels) const {
  const std::set<std::string> wanted(labels.begin(), labels.end());
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return !entry.second.draining && covers(entry.second.labels, wanted);
  });
}

WorkerInfo& Dispatcher::add_worker(WorkerInfo worker) {
  std::string id = worker.id;
  ids_by_name_[worker.name].insert(id);
  return workers_.insert_or_assign(std::move(id), std::move(worker)).first->second;
}

WorkerInfo* Dispatcher::find_worker(const std::string& id) {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : &found->second;
}

std::vector<WorkerInfo*> Dispatcher::find_workers_named(const std::string& name) {
  std::vector<WorkerInfo*> found;
  const auto ids = ids_by_name_.find(name);
  if (ids == ids_by_name_.end()) return found;
  for (const std::string& id : ids->second) found.push_back(&workers_.at(id));
  return found;
}

void Dispatcher::drop_worker(const std::string& id) {
  const auto worker = workers_.find(id);
  if (worker == workers_.end()) return;
  const auto ids = ids_by_name_.find(worker->second.name);
  ids->second.erase(id);
  if (ids->second.empty()) ids_by_name_.erase(ids);
  workers_.erase(worker);
}

void Dispatcher::drop_silent(Instant before) {
  constexpr Millis kPause{60'000};
  if (before < next_sweep_) return;
  next_sweep_ = before + kPause;
  std::vector<std::string> silent;
  for (const auto& [id, worker] : workers_) {
    if (worker.last_seen < before) silent.push_back(id);
  }
  for (const std::string& id : silent) drop_worker(id);
}
}  // namespace mc::conductor
