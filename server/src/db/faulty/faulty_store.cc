#include "db/faulty/faulty_store.h"

#include "base/check.h"

namespace mc::db {
namespace {
Error failed_on_purpose() { return {Code::store_failed, "the store failed on purpose", {}}; }
}  // namespace

void FaultyStore::arm(std::int64_t nth, Fault fault) {
  MC_CHECK(nth >= 1);
  const std::lock_guard lock(mutex_);
  if (fault == Fault::fail_read) {
    at_read_[reads_ + nth] = fault;
  } else {
    at_commit_[commits_ + nth] = fault;
  }
}

void FaultyStore::arm_chances(std::uint64_t seed, FaultChances chances) {
  const std::lock_guard lock(mutex_);
  rng_ = Rng(seed);
  chances_ = chances;
}

void FaultyStore::disarm() {
  const std::lock_guard lock(mutex_);
  at_commit_.clear();
  at_read_.clear();
  chances_ = {};
}

std::int64_t FaultyStore::faults() const {
  const std::lock_guard lock(mutex_);
  return faults_;
}

std::optional<Fault> FaultyStore::next_commit_fault() {
  const std::lock_guard lock(mutex_);
  std::optional<Fault> fault;
  // Every chance is drawn at every call, so that one setting does not shift the others' luck.
  if (rng_.chance(chances_.refuse_commit)) fault = Fault::refuse_commit;
  if (rng_.chance(chances_.lose_answer)) fault = Fault::lose_answer;
  if (rng_.chance(chances_.conflict)) fault = Fault::conflict;
  if (const auto armed = at_commit_.find(++commits_); armed != at_commit_.end())
    fault = armed->second;
  if (fault) ++faults_;
  return fault;
}

bool FaultyStore::next_read_fails() {
  const std::lock_guard lock(mutex_);
  const bool fails = at_read_.contains(++reads_) || rng_.chance(chances_.fail_read);
  if (fails) ++faults_;
  return fails;
}

Status FaultyStore::commit(const Batch& batch) {
  const std::optional<Fault> fault = next_commit_fault();
  if (fault == Fault::refuse_commit) return failed_on_purpose();
  if (fault == Fault::conflict)
    return Error{Code::conflict, "the store saw a conflict on purpose", {}};
  Status written = inner_.commit(batch);
  if (written && fault == Fault::lose_answer) return failed_on_purpose();
  return written;
}

Result<std::optional<StoredRun>> FaultyStore::load_run(Uuid run) {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.load_run(run);
}
Result<std::vector<EventGroup>> FaultyStore::read_events(Uuid run, std::int64_t after, int limit) {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.read_events(run, after, limit);
}
Result<std::vector<FeedGroup>> FaultyStore::read_feed(std::int64_t after, int limit) {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.read_feed(after, limit);
}
Result<std::int64_t> FaultyStore::feed_end() {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.feed_end();
}
Result<std::vector<RunRow>> FaultyStore::list_runs(const RunQuery& query) {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.list_runs(query);
}
Status FaultyStore::each_open_run(const std::function<bool(StoredRun)>& visit) {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.each_open_run(visit);
}
Result<std::int64_t> FaultyStore::max_run_number() {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.max_run_number();
}
Result<std::optional<Record>> FaultyStore::get_record(std::string_view kind, std::string_view key) {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.get_record(kind, key);
}
Result<std::vector<Record>> FaultyStore::list_records(std::string_view kind,
                                                      std::string_view prefix,
                                                      std::string_view after, int limit) {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.list_records(kind, prefix, after, limit);
}
Result<std::optional<Receipt>> FaultyStore::get_receipt(std::string_view scope,
                                                        std::string_view key) {
  if (next_read_fails()) return failed_on_purpose();
  return inner_.get_receipt(scope, key);
}
Result<std::int64_t> FaultyStore::drop_receipts(Instant before, int limit) {
  return inner_.drop_receipts(before, limit);
}
Result<std::int64_t> FaultyStore::purge_runs(Instant before, int limit, const Going& going) {
  return inner_.purge_runs(before, limit, going);
}
void FaultyStore::idle() { inner_.idle(); }

}  // namespace mc::db
