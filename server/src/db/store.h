// The port to durable storage. Adapters (memory/, sqlite/, postgres/) pass one contract suite
// (server/tests/contract). A store keeps what it is told and knows no rule about runs: it guards
// versions, keeps order, and answers indexed questions.
//
// Threads: commit is called by one thread at a time; the reads may be called from any thread, at
// the same time as a commit, and see whole commits only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "base/uuid.h"
#include "model/status.h"

namespace mc::db {

// What lists show of a run: a projection of its events, one row a run.
struct RunRow {
  Uuid id;
  std::int64_t number = 0;  // counts up within a project; newest first means highest first
  std::string project;
  std::string workflow;
  RunStatus status = RunStatus::queued;
  Reason reason = Reason::none;
  TriggerKind trigger = TriggerKind::api;
  std::string actor;
  std::string ref;
  std::string commit;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string run_key;
  Uuid parent;
  Uuid rerun_of;
  Instant created_at;
  Instant finished_at;  // 0: not final
  Instant deleted_at;   // 0: not deleted; deleted rows are in no list
  std::string json;     // the API's Run object, as lists show it
};

// The events of one run that one commit adds.
struct EventGroup {
  std::int64_t first_seq = 0;  // 1 for the first event of a run
  std::int64_t last_seq = 0;
  Instant time;
  std::string payload;  // encoded by wire/event_codec
};

struct RunWrite {
  Uuid run;
  // The last seq this write builds on (0: the run must not exist). Anything else in the store:
  // the whole batch fails with `conflict`.
  std::int64_t expected_seq = 0;
  std::optional<EventGroup> events;
  RunRow row;  // replaces the row
  // The whole state after these events; replaces an older snapshot.
  std::optional<std::string> snapshot;
};

// A small document under a kind and a key: workflow versions, schedules, tokens, secrets, workers,
// approvals, cache entries, settings.
struct Record {
  std::string kind;
  std::string key;
  std::string json;
  std::int64_t version = 0;  // grows by one with every put; 0 in a put: whatever is there
};

struct RecordPut {
  std::string kind;
  std::string key;
  std::optional<std::string> json;  // nullopt: remove
  std::optional<std::int64_t>
      expected;  // 0: must not exist; n: must be at version n; else `conflict`
};

// The answer to a request that came with an idempotency key.
struct Receipt {
  std::string scope;  // project and token
  std::string key;
  std::string request_digest;
  int status = 0;
  std::string location;
  std::string body;
  Instant created_at;
};

// All of it or nothing, durable when commit returns.
struct Batch {
  std::vector<RunWrite> runs;  // a run appears at most once
  std::vector<RecordPut> records;
  std::vector<Receipt> receipts;  // an existing (scope, key): `conflict`
  bool empty() const { return runs.empty() && records.empty() && receipts.empty(); }
};

struct StoredRun {
  RunRow row;
  std::int64_t last_seq = 0;
  std::int64_t snapshot_seq = 0;  // 0: no snapshot
  std::string snapshot;
  std::vector<EventGroup> events;  // those after snapshot_seq, in order
};

struct FeedGroup {
  std::int64_t position = 0;  // order of commit over all runs; grows, may have gaps
  Uuid run;
  EventGroup events;
};

// Every field that is set must fit.
struct RunQuery {
  std::string project;
  std::vector<RunStatus> statuses;  // any of
  std::string workflow;
  std::string actor;
  std::string ref;
  std::string commit;  // prefix
  std::string run_key;
  std::optional<TriggerKind> trigger;
  Uuid parent;
  Uuid rerun_of;
  std::vector<std::pair<std::string, std::string>> labels;  // all of
  Instant created_after, created_before;
  std::int64_t before_number = 0;  // keyset: only runs with a smaller number; 0: from the newest
  int limit = 50;
};

class Store {
 public:
  virtual ~Store() = default;

  // Errors: conflict (nothing written; message names the run or record), store_failed (disk full,
  // I/O: nothing written as far as can be known; the caller must drop what it holds and re-read).
  virtual Status commit(const Batch& batch) = 0;

  // nullopt: no such run. Deleted runs are found here (their row says so).
  virtual Result<std::optional<StoredRun>> load_run(Uuid run) = 0;
  // Groups of one run whose last_seq > after, in order, at most `limit`.
  virtual Result<std::vector<EventGroup>> read_events(Uuid run, std::int64_t after, int limit) = 0;
  // Groups of all runs with position > after, in order.
  virtual Result<std::vector<FeedGroup>> read_feed(std::int64_t after, int limit) = 0;
  // The position of the newest group, 0 when there is none.
  virtual Result<std::int64_t> feed_end() = 0;
  // Newest first by number, at most query.limit; never reads events or snapshots.
  virtual Result<std::vector<RunRow>> list_runs(const RunQuery& query) = 0;
  // Every run that is not final, oldest first, whole: for recovery. Calls back until it returns
  // false.
  virtual Status each_open_run(const std::function<bool(StoredRun)>& visit) = 0;
  // The highest run number of any project, 0 when there is none.
  virtual Result<std::int64_t> max_run_number() = 0;

  virtual Result<std::optional<Record>> get_record(std::string_view kind, std::string_view key) = 0;
  // Keys with this prefix, greater than `after`, in byte order.
  virtual Result<std::vector<Record>> list_records(std::string_view kind, std::string_view prefix,
                                                   std::string_view after, int limit) = 0;
  virtual Result<std::optional<Receipt>> get_receipt(std::string_view scope,
                                                     std::string_view key) = 0;
  // Housekeeping: removes receipts made before `before`, at most `limit`; returns how many.
  virtual Result<std::int64_t> drop_receipts(Instant before, int limit) = 0;
  // Removes deleted runs whose deleted_at < before, with their events; at most `limit`; returns how
  // many. Who leads a shard: of its projects. Each is told to `going` first, so that what else
  // is kept of it goes before the last trace of it does; when `going` fails nothing is removed, and
  // that error is returned.
  using Going = std::function<Status(Uuid)>;
  virtual Result<std::int64_t> purge_runs(Instant before, int limit, const Going& going) = 0;
  // When idle: lets the adapter tidy its files (SQLite checkpoint). Same thread rule as commit.
  virtual void idle() = 0;
};

}  // namespace mc::db
