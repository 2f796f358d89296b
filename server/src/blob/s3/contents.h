// Blobs in S3, `sha256/<hex>`, with a bounded copy of those in use on the local disk: an upload is
// written and checked there before it is sent, and what is read is fetched and checked there first.
//
// Others may be on the bucket, each with a folder of its own: who removes a blob marks it first,
// `doomed/<hex>`, and then looks at its age; who makes one young looks for the mark then, and at
// the blob once more. What remains is a removal that S3 carries out more than 20 s after it was
// marked (kRemoval), or after the call for it was given up.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "blob/blob_store.h"
#include "blob/content.h"
#include "blob/parts.h"
#include "blob/s3/client.h"

namespace mc::blob {

// Threads: any; each blob is worked on by one at a time.
class S3Contents {
 public:
  // `folder`: for the local copies; over `cache_bytes_max` the least recently used go. A blob that
  // came into S3 less than `young` ago is not sent or renewed again.
  S3Contents(S3Client& client, const std::string& folder, std::int64_t cache_bytes_max,
             Millis young, Clock& clock);
  // Errors: data_folder.
  Status prepare();

  Result<std::unique_ptr<BlobStore::Upload>> begin_upload();
  std::int64_t arrived(const PartsKey& key);
  Result<std::unique_ptr<BlobStore::Part>> resume(const PartsKey& key, std::int64_t offset,
                                                  std::int64_t size);
  bool has(std::string_view digest);
  // Errors: not_found; store_failed: also when the bytes have another digest; unreachable.
  Result<BlobStore::File> open(std::string_view digest);
  Result<std::vector<std::string>> list_unused(Instant before, std::string_view after, int limit);
  Result<bool> remove_unused(std::string_view digest, Instant before);
  Status drop_uploads(Instant before);

  // For an upload whose bytes are in the local copy.
  Status send(const std::string& digest);

 private:
  class Busy;  // holds a digest against the others
  Status fetch(const std::string& digest);
  Result<bool> send_once(const std::string& digest, const BlobStore::File& file);
  bool stays(const std::string& digest);
  Result<bool> remove_marked(const std::string& digest, Instant before);
  // `modified`: when it came into S3, if that was seen.
  void note_use(const std::string& digest, std::optional<Instant> modified = {});
  bool is_known(const std::string& digest);
  bool used_since(const std::string& digest, Instant since);
  void shrink();

  S3Client& client_;
  const std::int64_t cache_bytes_max_;
  const Millis young_;
  Clock& clock_;
  Content local_;
  Parts parts_;
  std::atomic<std::int64_t> local_bytes_{0};  // about
  std::mutex mutex_;                          // guards what follows
  std::condition_variable freed_;
  std::unordered_set<std::string> busy_;
  struct Use {
    Instant at;        // when this process was last given it or asked for it
    Instant modified;  // all that S3 remembers
  };
  std::unordered_map<std::string, Use> used_;
};

}  // namespace mc::blob
