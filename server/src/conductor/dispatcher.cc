#include "conductor/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace mc::conductor {
namespace {
// A worker that was not heard of for longer keeps nothing for anybody.
constexpr Millis kKeeperSilent{120'000};

bool covers(const std::vector<std::string>& have, const std::set<std::string>& want) {
  return std::all_of(want.begin(), want.end(), [&](const std::string& label) {
    return std::find(have.begin(), have.end(), label) != have.end();
  });
}

std::string bucket_key(const JobWants& wants) {
  const std::set<std::string> wanted(wants.labels.begin(), wants.labels.end());
  const std::vector<std::string> sorted(wanted.begin(), wanted.end());
  return fmt::format("{}\n\n{} {}", join(sorted, "\n"), wants.resources.cpu_milli,
                     wants.resources.memory);
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

bool may_take(const WorkerInfo& worker, const std::vector<std::string>& labels,
              const Resources& resources) {
  return labels_lacking(worker, labels).empty() && suffices(worker.resources, {}, resources);
}

void Dispatcher::add(const JobWants& wants, Uuid run, NodeIndex node) {
  Bucket& bucket = buckets_[bucket_key(wants)];
  bucket.labels = {wants.labels.begin(), wants.labels.end()};
  bucket.resources = wants.resources;
  bucket.levels[wants.priority][wants.project].push_back({run, node, next_order_++});
  ++ready_;
  note_change();
}

FairShare Dispatcher::share_of(const std::string& project) const {
  const auto known = shares_.find(project);
  FairShare share = known == shares_.end() ? FairShare{} : known->second;
  const auto weight = weights_.find(project);
  share.weight = weight == weights_.end() ? 1 : weight->second;
  share.turn = std::max(share.turn, turn_);
  return share;
}

void Dispatcher::began(const Running& job) {
  FairShare share = share_of(job.project);
  give_piece(share);
  shares_[job.project] = share;
  if (job.resources.empty()) return;
  Resources& used = in_use_[job.worker];
  used.cpu_milli += job.resources.cpu_milli;
  used.memory += job.resources.memory;
}

void Dispatcher::ended(const Running& job) {
  constexpr std::size_t kIdleMax = 1'000;
  const auto used = in_use_.find(job.worker);
  if (!job.resources.empty() && used != in_use_.end()) {
    used->second.cpu_milli -= job.resources.cpu_milli;
    used->second.memory -= job.resources.memory;
    if (used->second.empty()) in_use_.erase(used);
    note_change();
    has_room_ |= may_want(job.worker);
  }
  const auto share = shares_.find(job.project);
  if (share != shares_.end() && share->second.running > 0) --share->second.running;
  // Whose turn it was is worth remembering, but not of everybody for ever.
  if (shares_.size() > kIdleMax)
    std::erase_if(shares_, [](const auto& entry) { return entry.second.running == 0; });
}

bool Dispatcher::take_news() {
  const std::uint64_t from = std::exchange(told_until_, next_order_);
  if (std::exchange(has_room_, false)) return ready_ > 0;
  return std::ranges::any_of(buckets_, [&](const auto& bucket) {
    return std::ranges::any_of(bucket.second.levels, [&](const auto& level) {
      return std::ranges::any_of(
          level.second, [&](const auto& line) { return line.second.back().order >= from; });
    });
  });
}

// Whether the worker of that name may take one of the ready jobs when it is idle. Of one that is
// not known yet nobody can say that it may not.
bool Dispatcher::may_want(const std::string& worker) const {
  const auto ids = ids_by_name_.find(worker);
  if (ids == ids_by_name_.end()) return true;
  return std::ranges::any_of(ids->second, [&](const std::string& id) {
    const WorkerInfo& info = workers_.at(id);
    return std::ranges::any_of(buckets_, [&](const auto& entry) {
      const Bucket& bucket = entry.second;
      return covers(info.labels, bucket.labels) && suffices(info.resources, {}, bucket.resources);
    });
  });
}

Resources Dispatcher::in_use(const std::string& worker) const {
  const auto used = in_use_.find(worker);
  return used == in_use_.end() ? Resources{} : used->second;
}

Resources Dispatcher::all_in_use(const WorkerInfo& worker) const {
  Resources used = in_use(worker.name);
  used.cpu_milli += worker.elsewhere.cpu_milli;
  used.memory += worker.elsewhere.memory;
  return used;
}

// Whether a worker other than `asking` waits until a job of the bucket fits.
bool Dispatcher::keeps(const Bucket& bucket, const WorkerInfo& asking) const {
  if (bucket.kept_by.empty() || bucket.kept_by == asking.name) return false;
  const auto ids = ids_by_name_.find(bucket.kept_by);
  if (ids == ids_by_name_.end()) return false;
  return std::any_of(ids->second.begin(), ids->second.end(), [&](const std::string& id) {
    const WorkerInfo& keeper = workers_.at(id);
    return !keeper.draining && keeper.last_seen + kKeeperSilent >= asking.last_seen &&
           covers(keeper.labels, bucket.labels) && suffices(keeper.resources, {}, bucket.resources);
  });
}

// The first job of each project in the bucket's highest priority; what is of a lower one goes.
void Dispatcher::add_first(Bucket& bucket, std::vector<Place>& first) {
  const auto& [priority, level] = *bucket.levels.begin();
  if (!first.empty() && first.front().priority > priority) return;
  if (!first.empty() && first.front().priority < priority) first.clear();
  for (const auto& [project, line] : level)
    first.push_back({&bucket, priority, project, line.front().order});
}

// For next_in_turn: by shares, then by turns, then by age.
std::vector<Contender> Dispatcher::contenders_of(const std::vector<Place>& first) const {
  std::vector<Contender> contenders;
  contenders.reserve(first.size());
  for (const Place& place : first) contenders.push_back({share_of(place.project), place.order});
  return contenders;
}

Dispatcher::Place Dispatcher::oldest_of(Bucket& bucket) {
  std::optional<Place> oldest;
  for (const auto& [priority, level] : bucket.levels) {
    for (const auto& [project, line] : level) {
      const std::uint64_t order = line.front().order;
      if (!oldest || order < oldest->order) oldest = {&bucket, priority, project, order};
    }
  }
  return *oldest;
}

ReadyJob Dispatcher::remove(const Place& place) {
  const auto level = place.bucket->levels.find(place.priority);
  const auto line = level->second.find(place.project);
  const ReadyJob job = line->second.front();
  // Who was kept may have what it was kept from.
  if (!std::exchange(place.bucket->kept_by, {}).empty()) {
    note_change();
    has_room_ = true;
  }
  line->second.pop_front();
  if (line->second.empty()) level->second.erase(line);
  if (level->second.empty()) place.bucket->levels.erase(level);
  --ready_;
  return job;
}

// Whether jobs of the bucket are for the worker, now or once what runs there has ended.
bool Dispatcher::may_have(const WorkerInfo& worker, const Bucket& bucket, bool fits) const {
  return covers(worker.labels, bucket.labels) && suffices(worker.resources, {}, bucket.resources) &&
         (fits || !keeps(bucket, worker));
}

std::vector<Dispatcher::Place> Dispatcher::first_for(const WorkerInfo& worker) {
  const Resources used = all_in_use(worker);
  std::vector<Place> first;
  for (auto& [key, bucket] : buckets_) {
    if (suffices(worker.resources, used, bucket.resources) && may_have(worker, bucket, true))
      add_first(bucket, first);
  }
  return first;
}

std::optional<wire::Offer> Dispatcher::next_for(const WorkerInfo& worker, const IsReady& is_ready) {
  for (;;) {
    const std::vector<Place> first = first_for(worker);
    if (first.empty()) return std::nullopt;
    const Place& next = first[next_in_turn(contenders_of(first))];
    const Line& line = next.bucket->levels.at(next.priority).at(next.project);
    if (is_ready(line.front())) {
      return wire::Offer{next.priority, next.project, share_of(next.project)};
    }
    remove(next);
    std::erase_if(buckets_, [](const auto& entry) { return entry.second.levels.empty(); });
  }
}

std::optional<ReadyJob> Dispatcher::take(const WorkerInfo& worker, const IsReady& is_ready,
                                         int priority_min) {
  const Resources used = all_in_use(worker);
  std::vector<Place> first;
  Bucket* passed_most = nullptr;
  std::uint64_t sets = 0;
  for (auto& [key, bucket] : buckets_) {
    const bool fits = suffices(worker.resources, used, bucket.resources);
    if (!may_have(worker, bucket, fits)) continue;
    if (fits) add_first(bucket, first);
    ++bucket.passed;
    ++sets;
    if (passed_most == nullptr || bucket.passed > passed_most->passed) passed_most = &bucket;
  }
  if (first.empty()) return std::nullopt;
  const std::vector<Contender> contenders = contenders_of(first);
  Place next = first[next_in_turn(contenders)];
  const bool is_due = passed_most->passed >= kPassedOver * sets;
  if (next.priority < priority_min && !is_due) return std::nullopt;
  turn_ = lowest_turn(contenders);
  if (is_due) {
    if (!suffices(worker.resources, used, passed_most->resources)) {
      drop_stale_of(*passed_most, is_ready);
      if (passed_most->levels.empty()) {
        std::erase_if(buckets_, [](const auto& entry) { return entry.second.levels.empty(); });
        return take(worker, is_ready, priority_min);
      }
      passed_most->kept_by = worker.name;
      return std::nullopt;
    }
    next = oldest_of(*passed_most);
    passed_most->passed = 0;
  }
  const ReadyJob job = remove(next);
  std::erase_if(buckets_, [](const auto& entry) { return entry.second.levels.empty(); });
  return job;
}

bool Dispatcher::share_a_worker(const JobWants& wants, const Bucket& bucket) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const WorkerInfo& worker = entry.second;
    return may_take(worker, wants.labels, wants.resources) &&
           covers(worker.labels, bucket.labels) && suffices(worker.resources, {}, bucket.resources);
  });
}

std::optional<std::vector<ReadyJob>> Dispatcher::ahead_of(const JobWants& wants, Uuid run,
                                                          NodeIndex node, std::size_t max) const {
  std::uint64_t own = next_order_;
  const auto bucket = buckets_.find(bucket_key(wants));
  if (bucket != buckets_.end()) {
    const auto level = bucket->second.levels.find(wants.priority);
    if (level != bucket->second.levels.end() && level->second.contains(wants.project)) {
      for (const ReadyJob& job : level->second.at(wants.project))
        if (job.run == run && job.node == node) own = job.order;
    }
  }
  const FairShare share = share_of(wants.project);
  std::vector<ReadyJob> ahead;
  for (const auto& [key, other] : buckets_) {
    if (!share_a_worker(wants, other)) continue;
    for (const auto& [priority, level] : other.levels) {
      if (priority < wants.priority) break;
      for (const auto& [project, line] : level) {
        const FairShare theirs = share_of(project);
        const bool first = priority > wants.priority || theirs.is_behind(share);
        if (!first && share.is_behind(theirs)) continue;
        for (const ReadyJob& job : line) {
          if (!first && job.order >= own) break;
          if (ahead.size() == max) return std::nullopt;
          ahead.push_back(job);
        }
      }
    }
  }
  return ahead;
}

bool Dispatcher::yields(const JobWants& wants) const {
  const FairShare share = share_of(wants.project);
  return std::any_of(buckets_.begin(), buckets_.end(), [&](const auto& entry) {
    const auto level = entry.second.levels.find(wants.priority);
    if (level == entry.second.levels.end() || !share_a_worker(wants, entry.second)) return false;
    return std::any_of(level->second.begin(), level->second.end(),
                       [&](const auto& line) { return share_of(line.first).is_behind(share); });
  });
}

// Leaves the bucket in its place, also when it is empty.
void Dispatcher::drop_stale_of(Bucket& bucket, const IsReady& is_ready) {
  for (auto& [priority, level] : bucket.levels) {
    for (auto& [project, line] : level)
      ready_ -= std::erase_if(line, [&](const ReadyJob& job) { return !is_ready(job); });
    std::erase_if(level, [](const auto& entry) { return entry.second.empty(); });
  }
  std::erase_if(bucket.levels, [](const auto& entry) { return entry.second.empty(); });
}

void Dispatcher::drop_stale(const IsReady& is_ready) {
  if (ready_ < look_at_) return;
  for (auto& [labels, bucket] : buckets_) drop_stale_of(bucket, is_ready);
  std::erase_if(buckets_, [](const auto& entry) { return entry.second.levels.empty(); });
  look_at_ = std::max<std::size_t>(1'000, 2 * ready_);
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
  if (ids->second.empty()) {
    for (auto& [key, bucket] : buckets_) {
      if (bucket.kept_by != ids->first) continue;
      bucket.kept_by.clear();
      changed_ = has_room_ = true;
    }
    ids_by_name_.erase(ids);
  }
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
