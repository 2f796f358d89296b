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
  return workers_.insert_or_assign(std::move(id), std::move(worker)).first->second;
}

WorkerInfo* Dispatcher::find_worker(const std::string& id) {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : &found->second;
}

void Dispatcher::drop_silent(Instant before) {
  std::erase_if(workers_, [&](const auto& entry) { return entry.second.last_seen < before; });
}
}  // namespace mc::conductor
