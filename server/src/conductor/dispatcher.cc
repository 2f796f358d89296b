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

std::vector<std::string> labels_lacking(const WorkerInfo& worker,
                                        const std::vector<std::string>& labels) {
  std::vector<std::string> lacks = labels;
  std::erase_if(lacks, [&](const std::string& label) {
    return std::find(worker.labels.begin(), worker.labels.end(), label) != worker.labels.end();
  });
  return lacks;
}

bool Dispatcher::Place::goes_before(const Place& other) const {
  if (priority != other.priority) return priority > other.priority;
  if (paid != other.paid) return paid < other.paid;
  return order < other.order;
}

void Dispatcher::add(const JobWants& wants, Uuid run, NodeIndex node) {
  const std::set<std::string> wanted(wants.labels.begin(), wants.labels.end());
  const std::vector<std::string> sorted(wanted.begin(), wanted.end());
  Bucket& bucket = buckets_[join(sorted, "\n")];
  bucket.labels = wanted;
  bucket.levels[wants.priority][wants.project].push_back({run, node, next_order_++});
  ++come_in(wants).ready;
  ++ready_;
}

// The project's share, level with the others if it had nothing ready.
Dispatcher::Share& Dispatcher::come_in(const JobWants& wants) {
  Share& own = shares_[{wants.priority, wants.project}];
  if (own.ready > 0) return own;
  std::optional<std::uint64_t> least;
  const auto first = shares_.lower_bound({wants.priority, ""});
  for (auto it = first; it != shares_.end() && it->first.first == wants.priority; ++it) {
    if (it->second.ready > 0) least = std::min(least.value_or(it->second.paid), it->second.paid);
  }
  if (least) {
    own.paid = std::max(own.paid, *least);
    return own;
  }
  std::erase_if(shares_, [&](const auto& entry) { return entry.first.first == wants.priority; });
  return shares_[{wants.priority, wants.project}];
}

Dispatcher::Place Dispatcher::first_of(Bucket& bucket) const {
  const auto& [priority, level] = *bucket.levels.begin();
  std::optional<Place> first;
  for (const auto& [project, line] : level) {
    Place place{&bucket, priority, project, shares_.at({priority, project}).paid,
                line.front().order};
    if (!first || place.goes_before(*first)) first = std::move(place);
  }
  return *first;
}

Dispatcher::Place Dispatcher::oldest_of(Bucket& bucket) {
  std::optional<Place> oldest;
  for (const auto& [priority, level] : bucket.levels) {
    for (const auto& [project, line] : level) {
      const std::uint64_t order = line.front().order;
      if (!oldest || order < oldest->order) oldest = {&bucket, priority, project, 0, order};
    }
  }
  return *oldest;
}

ReadyJob Dispatcher::remove(const Place& place) {
  const auto level = place.bucket->levels.find(place.priority);
  const auto line = level->second.find(place.project);
  const ReadyJob job = line->second.front();
  line->second.pop_front();
  if (line->second.empty()) level->second.erase(line);
  if (level->second.empty()) place.bucket->levels.erase(level);
  --ready_;
  Share& share = shares_.at({place.priority, place.project});
  ++share.paid;
  --share.ready;
  return job;
}

std::optional<ReadyJob> Dispatcher::take(const WorkerInfo& worker) {
  std::optional<Place> next;
  Bucket* passed_most = nullptr;
  for (auto& [key, bucket] : buckets_) {
    if (!covers(worker.labels, bucket.labels)) continue;
    Place place = first_of(bucket);
    if (!next || place.goes_before(*next)) next = std::move(place);
    ++bucket.passed;
    if (passed_most == nullptr || bucket.passed > passed_most->passed) passed_most = &bucket;
  }
  if (!next) return std::nullopt;
  if (passed_most->passed >= kPassedOver * buckets_.size()) {
    next = oldest_of(*passed_most);
    passed_most->passed = 0;
  }
  const ReadyJob job = remove(*next);
  std::erase_if(buckets_, [](const auto& entry) { return entry.second.levels.empty(); });
  return job;
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
