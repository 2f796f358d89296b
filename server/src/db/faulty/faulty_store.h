// A store that fails on purpose, around one that does not: at a call that a test names, or by
// chance from a seed. While nothing is armed it is not to be told from what it wraps.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

#include "base/rng.h"
#include "db/store.h"

namespace mc::db {

enum class Fault : std::uint8_t {
  refuse_commit,  // store_failed, nothing written
  lose_answer,    // store_failed, but everything is written: the outcome is unknown to the caller
  conflict,       // conflict, nothing written
  fail_read,      // store_failed
};

// How likely each is, per call, from 0 to 1.
struct FaultChances {
  double refuse_commit = 0;
  double lose_answer = 0;
  double conflict = 0;
  double fail_read = 0;
};

class FaultyStore final : public Store {
 public:
  // `inner` outlives this.
  explicit FaultyStore(Store& inner) : inner_(inner) {}

  // The `nth` commit from now (fail_read: the nth read) fails so, once. Requires: nth >= 1.
  void arm(std::int64_t nth, Fault fault);
  // From now on by chance; the same seed and calls give the same faults.
  void arm_chances(std::uint64_t seed, FaultChances chances);
  void disarm();
  // How many faults have been dealt out.
  std::int64_t faults() const;

  Status commit(const Batch& batch) override;
  Result<std::optional<StoredRun>> load_run(Uuid run) override;
  Result<std::vector<EventGroup>> read_events(Uuid run, std::int64_t after, int limit) override;
  Result<std::vector<FeedGroup>> read_feed(std::int64_t after, int limit) override;
  Result<std::int64_t> feed_end() override;
  Result<std::vector<RunRow>> list_runs(const RunQuery& query) override;
  Status each_open_run(const std::function<bool(StoredRun)>& visit) override;
  Result<std::int64_t> max_run_number() override;
  Result<std::optional<Record>> get_record(std::string_view kind, std::string_view key) override;
  Result<std::vector<Record>> list_records(std::string_view kind, std::string_view prefix,
                                           std::string_view after, int limit) override;
  Result<std::optional<Receipt>> get_receipt(std::string_view scope, std::string_view key) override;
  // Never fail on purpose: housekeeping has its next turn anyway.
  Result<std::int64_t> drop_receipts(Instant before, int limit) override;
  Result<std::int64_t> purge_runs(Instant before, int limit, const Going& going) override;
  void idle() override;

 private:
  std::optional<Fault> next_commit_fault();
  bool next_read_fails();

  Store& inner_;
  mutable std::mutex mutex_;  // guards everything below
  std::int64_t commits_ = 0;
  std::int64_t reads_ = 0;
  std::int64_t faults_ = 0;
  std::map<std::int64_t, Fault> at_commit_;
  std::map<std::int64_t, Fault> at_read_;
  Rng rng_{0};
  FaultChances chances_;
};

}  // namespace mc::db
