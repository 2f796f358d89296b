#include "db/memory/memory_store.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

namespace mc::db {
namespace {

bool fits(const RunQuery& query, const RunRow& row) {
  const auto labelled = [&](const auto& wanted) {
    return std::find(row.labels.begin(), row.labels.end(), wanted) != row.labels.end();
  };
  if (row.deleted_at || row.project != query.project) return false;
  if (query.before_number > 0 && row.number >= query.before_number) return false;
  if (!query.statuses.empty() &&
      std::find(query.statuses.begin(), query.statuses.end(), row.status) == query.statuses.end()) {
    return false;
  }
  if (!query.workflow.empty() && row.workflow != query.workflow) return false;
  if (!query.actor.empty() && row.actor != query.actor) return false;
  if (!query.ref.empty() && row.ref != query.ref) return false;
  if (!query.commit.empty() && !row.commit.starts_with(query.commit)) return false;
  if (!query.run_key.empty() && row.run_key != query.run_key) return false;
  if (query.trigger && row.trigger != *query.trigger) return false;
  if (query.parent && row.parent != query.parent) return false;
  if (query.rerun_of && row.rerun_of != query.rerun_of) return false;
  if (query.created_after && row.created_at <= query.created_after) return false;
  if (query.created_before && row.created_at >= query.created_before) return false;
  return std::all_of(query.labels.begin(), query.labels.end(), labelled);
}

class MemoryStore final : public Store {
 public:
  Status commit(const Batch& batch) override {
    const std::lock_guard lock(mutex_);
    if (Status checked = check(batch); !checked) return checked;
    for (const RunWrite& write : batch.runs) put(write);
    for (const RecordPut& put : batch.records) {
      auto& kind = records_[put.kind];
      if (!put.json) {
        kind.erase(put.key);
        continue;
      }
      Record& record = kind[put.key];
      record = {put.kind, put.key, *put.json, record.version + 1};
    }
    for (const Receipt& receipt : batch.receipts) receipts_[{receipt.scope, receipt.key}] = receipt;
    return {};
  }

  Result<std::optional<StoredRun>> load_run(Uuid run) override {
    const std::lock_guard lock(mutex_);
    const auto found = runs_.find(run);
    if (found == runs_.end()) return std::optional<StoredRun>{};
    return std::optional<StoredRun>(since_snapshot(found->second));
  }

  Result<std::vector<EventGroup>> read_events(Uuid run, std::int64_t after, int limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<EventGroup> groups;
    const auto found = runs_.find(run);
    if (found == runs_.end()) return groups;
    for (const EventGroup& group : found->second.events) {
      if (group.last_seq > after && static_cast<int>(groups.size()) < limit)
        groups.push_back(group);
    }
    return groups;
  }

  Result<std::vector<FeedGroup>> read_feed(std::int64_t after, int limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<FeedGroup> groups;
    for (auto it = feed_.upper_bound(after);
         it != feed_.end() && static_cast<int>(groups.size()) < limit; ++it) {
      groups.push_back(it->second);
    }
    return groups;
  }

  Result<std::int64_t> feed_end() override {
    const std::lock_guard lock(mutex_);
    return feed_.empty() ? 0 : feed_.rbegin()->first;
  }

  Result<std::vector<RunRow>> list_runs(const RunQuery& query) override {
    const std::lock_guard lock(mutex_);
    std::vector<RunRow> rows;
    for (const auto& [id, run] : runs_) {
      if (fits(query, run.row)) rows.push_back(run.row);
    }
    std::sort(rows.begin(), rows.end(),
              [](const RunRow& a, const RunRow& b) { return a.number > b.number; });
    const auto limit = static_cast<std::size_t>(std::max(query.limit, 0));
    if (rows.size() > limit) rows.resize(limit);
    return rows;
  }

  Status each_open_run(const std::function<bool(StoredRun)>& visit) override {
    std::vector<StoredRun> open;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [id, run] : runs_) {
        if (!run.row.finished_at) open.push_back(since_snapshot(run));
      }
    }
    std::sort(open.begin(), open.end(),
              [](const StoredRun& a, const StoredRun& b) { return a.row.number < b.row.number; });
    for (StoredRun& run : open) {
      if (!visit(std::move(run))) break;
    }
    return {};
  }

  Result<std::int64_t> max_run_number() override {
    const std::lock_guard lock(mutex_);
    std::int64_t newest = 0;
    for (const auto& [id, run] : runs_) newest = std::max(newest, run.row.number);
    return newest;
  }

  Result<std::optional<Record>> get_record(std::string_view kind, std::string_view key) override {
    const std::lock_guard lock(mutex_);
    const auto records = records_.find(std::string(kind));
    if (records == records_.end()) return std::optional<Record>{};
    const auto found = records->second.find(std::string(key));
    return found == records->second.end() ? std::optional<Record>{} : std::optional(found->second);
  }

  Result<std::vector<Record>> list_records(std::string_view kind, std::string_view prefix,
                                           std::string_view after, int limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<Record> page;
    const auto records = records_.find(std::string(kind));
    if (records == records_.end()) return page;
    for (auto it = records->second.lower_bound(std::string(std::max(prefix, after)));
         it != records->second.end() && static_cast<int>(page.size()) < limit; ++it) {
      if (!it->first.starts_with(prefix) && it->first > prefix) break;
      if (it->first > after) page.push_back(it->second);
    }
    return page;
  }

  Result<std::optional<Receipt>> get_receipt(std::string_view scope,
                                             std::string_view key) override {
    const std::lock_guard lock(mutex_);
    const auto found = receipts_.find({std::string(scope), std::string(key)});
    return found == receipts_.end() ? std::optional<Receipt>{} : std::optional(found->second);
  }

  Result<std::int64_t> drop_receipts(Instant before, int limit) override {
    const std::lock_guard lock(mutex_);
    std::int64_t dropped = 0;
    std::erase_if(receipts_, [&](const auto& entry) {
      return entry.second.created_at < before && dropped < limit && ++dropped > 0;
    });
    return dropped;
  }

  Result<std::int64_t> purge_runs(Instant before, int limit, const Going& going) override {
    const std::lock_guard lock(mutex_);
    std::int64_t purged = 0;
    for (auto it = runs_.begin(); it != runs_.end() && purged < limit;) {
      if (!it->second.row.deleted_at || it->second.row.deleted_at >= before) {
        ++it;
        continue;
      }
      if (Status gone = going(it->first); !gone) return gone.error();
      std::erase_if(feed_, [&](const auto& entry) { return entry.second.run == it->first; });
      it = runs_.erase(it);
      ++purged;
    }
    return purged;
  }

  void idle() override {}

 private:
  Status check(const Batch& batch) const {
    for (const RunWrite& write : batch.runs) {
      const auto found = runs_.find(write.run);
      const std::int64_t last = found == runs_.end() ? 0 : found->second.last_seq;
      if (last != write.expected_seq) {
        return Error{Code::conflict, "run " + to_string(write.run) + " has changed", {}};
      }
    }
    for (const RecordPut& put : batch.records) {
      if (put.expected && *put.expected != version_of(put)) {
        return Error{Code::conflict, put.kind + " " + put.key + " has changed", {}};
      }
    }
    std::set<std::pair<std::string_view, std::string_view>> fresh;
    for (const Receipt& receipt : batch.receipts) {
      const bool twice = !fresh.insert({receipt.scope, receipt.key}).second;
      if (twice || receipts_.contains({receipt.scope, receipt.key})) {
        return Error{Code::conflict, "the idempotency key " + receipt.key + " is taken", {}};
      }
    }
    return {};
  }

  std::int64_t version_of(const RecordPut& put) const {
    const auto kind = records_.find(put.kind);
    if (kind == records_.end()) return 0;
    const auto found = kind->second.find(put.key);
    return found == kind->second.end() ? 0 : found->second.version;
  }

  void put(const RunWrite& write) {
    StoredRun& run = runs_[write.run];
    run.row = write.row;
    if (write.events) {
      run.events.push_back(*write.events);
      run.last_seq = write.events->last_seq;
      ++position_;
      feed_[position_] = {position_, write.run, *write.events};
    }
    if (write.snapshot) {
      run.snapshot = *write.snapshot;
      run.snapshot_seq = run.last_seq;
    }
  }

  static StoredRun since_snapshot(const StoredRun& run) {
    StoredRun copy = run;
    std::erase_if(copy.events,
                  [&](const EventGroup& group) { return group.last_seq <= run.snapshot_seq; });
    return copy;
  }

  std::mutex mutex_;                // guards everything below
  std::map<Uuid, StoredRun> runs_;  // with all events, whatever the snapshot
  std::map<std::int64_t, FeedGroup> feed_;
  std::int64_t position_ = 0;  // the last one given; never given again, even when it is purged
  std::map<std::string, std::map<std::string, Record>> records_;
  std::map<std::pair<std::string, std::string>, Receipt> receipts_;
};

}  // namespace

std::unique_ptr<Store> make_memory_store() { return std::make_unique<MemoryStore>(); }
}  // namespace mc::db
