// Logs of jobs: written to the local disk as they come, and to S3 as segments (segments.h) once
// enough has come or some time has passed. A log that this process does not have yet is fetched
// when it is first asked for, or when a worker goes on writing it.
//
// What was not in a segment when its machine died is lost here: at most what came within `interval`
// and while S3 could not be reached. The worker goes on where the log ends, with what it still has.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "blob/blob_store.h"
#include "blob/s3/client.h"

namespace mc::blob {

struct S3LogSettings {
  std::int64_t epoch = 0;  // of the leader; 0: the only server there is, whose disk is its own
  Millis interval{5'000};
  std::int64_t segment_bytes = 1 << 20;
};

// Threads: any.
class S3Logs {
 public:
  // `local` keeps the logs on the disk and ends after this.
  S3Logs(S3Client& client, BlobStore& local, S3LogSettings settings);
  ~S3Logs();  // close()
  S3Logs(const S3Logs&) = delete;
  S3Logs& operator=(const S3Logs&) = delete;

  // As BlobStore::append_log.
  Result<std::int64_t> append(Uuid run, std::uint32_t node, int attempt, std::int64_t offset,
                              const std::vector<LogPiece>& pieces);
  // Afterwards `local` has all of it that there is. Errors: unreachable, store_failed, unless
  // `local` has some of it.
  Status load(Uuid run, std::uint32_t node, int attempt);
  // `local` is asked at once; S3 soon.
  Status remove(Uuid run);
  // What is in S3 is what was appended before. Errors: as above.
  Status flush();
  // flush(), then nothing more is sent or removed: whoever leads next may write. It waits for S3 no
  // longer than some seconds; the client is of no use afterwards if that is not enough. Requires:
  // no call is under way.
  Status close();

 private:
  struct Log {
    Uuid run;
    std::uint32_t node = 0;
    int attempt = 0;
    std::mutex mutex;  // guards changes of what follows; held while S3 is asked
    std::atomic<bool> loaded = false;
    std::atomic<bool> removed = false;
    std::atomic<std::int64_t> in_s3 = 0;  // bytes of text
  };
  using LogRef = std::shared_ptr<Log>;  // shared: the map forgets one that a call still works on

  LogRef find(Uuid run, std::uint32_t node, int attempt);
  Status load(Log& log);
  Status fetch(const std::string& key, std::int64_t offset, std::int64_t end_max, Log& log);
  Status flush(Log& log);
  Status remove_objects(Uuid run, const std::stop_token& stop);
  void mark(const LogRef& log, bool full);
  void loop(const std::stop_token& stop);
  bool work_off(bool& failing, const std::stop_token& stop);

  S3Client& client_;
  BlobStore& local_;
  const S3LogSettings settings_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable_any woken_;
  bool hurry_ = false;
  bool closed_ = false;
  std::unordered_map<std::string, LogRef> logs_;
  std::unordered_map<std::string, LogRef> unsent_;
  std::vector<Uuid> removing_;
  std::jthread thread_;  // the last: uses all of the above
};

}  // namespace mc::blob
