// Removes blobs that nothing refers to any more: artifacts that were kept long enough or whose runs
// are gone, and caches that nobody asked for.
//
// Which run refers to which blob is read from the feed of events, after they were committed: a
// record (records.h, kBlobUseKind) for each blob and job. Until its job has ended an upload is no
// reference yet: its age protects it, so the grace must be longer than the longest job.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "blob/blob_store.h"
#include "conductor/service.h"
#include "db/store.h"

namespace mc::conductor {

struct CollectorOptions {
  Millis keep_artifacts{90LL * 24 * 3'600'000};  // those that do not say themselves
  Millis keep_caches{30LL * 24 * 3'600'000};     // since somebody last asked for it
  Millis blob_grace{24 * 3'600'000};
  // Asked before each removal: false, when another server may be using the blobs.
  std::function<bool()> may_remove = [] { return true; };
};

// Threads: one at a time, any.
class Collector {
 public:
  // Durable when it returns.
  using Put = std::function<Status(std::vector<db::RecordPut>)>;
  Collector(db::Store& store, blob::BlobStore& blobs, CollectorOptions options, Put put);

  // Looks at every blob once. `stop` ends it between two of them. What fails is tried again by the
  // next sweep. Errors: those of the store, of the blobs and of `put`.
  Status sweep(Instant now, const std::stop_token& stop);
  // Of all sweeps.
  std::int64_t removed() const { return removed_; }

 private:
  Status follow(const std::stop_token& stop);
  Status put_in_slices(std::vector<db::RecordPut> puts);
  Status read_caches();
  // What `digest` has of uses: whether one of them still counts.
  Result<bool> is_used(const std::string& digest, Instant now);
  Result<bool> counts(const db::Record& use, Instant now);
  Result<bool> is_open(Uuid run);
  Status consider(const std::string& digest, Instant now);
  Status drop_caches(const std::string& digest);
  Status prune(Instant now, const std::stop_token& stop);

  db::Store& store_;
  blob::BlobStore& blobs_;
  const CollectorOptions options_;
  const Put put_;
  std::int64_t position_ = -1;  // in the feed; -1: not read yet
  std::unordered_map<std::string, std::vector<std::string>> caches_;  // by digest: keys of records
  Instant pruned_;
  std::int64_t removed_ = 0;
};

// A thread that sweeps: once soon after it begins, then each 24th part of the grace, at most once a
// second and at least once an hour.
class CollectorThread {
 public:
  // `service` and `clock` end after this.
  CollectorThread(Service& service, Clock& clock, CollectorOptions options);
  // Waits for the blob in hand, not for the store.
  ~CollectorThread();
  CollectorThread(const CollectorThread&) = delete;
  CollectorThread& operator=(const CollectorThread&) = delete;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace mc::conductor
