// The worker protocol as typed calls (docs/reference/worker-protocol.md). An interface, so that a
// worker can be tested without a server; connect_worker() gives the one that talks to a server.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/value.h"
#include "client/transport.h"
#include "model/task.h"
#include "wire/logs_codec.h"
#include "wire/task_codec.h"

namespace mc::client {

using Hold = wire::TaskHold;

// What a cache keeps under a key: a blob (tar.gz, paths relative to the workspace) and who made
// it.
struct CacheEntry {
  std::string digest;
  std::int64_t size = 0;
  Uuid run;
  std::string job;
  std::int64_t duration_ms = 0;
  Value outputs = Object{};            // of the job that made it
  std::vector<ArtifactRef> artifacts;  // that it uploaded
  Instant created_at;                  // set by the server
};

// What the server has of a blob.
struct BlobState {
  bool whole = false;
  // How many bytes of this task's upload in parts; nullopt: the server takes no parts.
  std::optional<std::int64_t> arrived;
};
// Of a file that is uploaded.
struct FilePart {
  std::int64_t offset = 0;
  std::int64_t length = 0;
  std::int64_t file_size = 0;
};

// Every call may fail with `unreachable` (try again later) or with what the server answered:
// `fenced` (stop this task), `worker_not_found` (register again), others by their code. One per
// thread.
class WorkerApi {
 public:
  virtual ~WorkerApi() = default;
  virtual Result<wire::RegisterReply> register_worker(const wire::RegisterRequest& request) = 0;
  // Waits up to request.wait_ms at the server. `stop` may end it early (then: unreachable).
  virtual Result<std::vector<Task>> poll(const wire::PollRequest& request,
                                         std::stop_token stop) = 0;
  // `lease`: for how long a heartbeat holds what it names. A silent server is left for the next one
  // while there is room for that; 0: as with the usual lease.
  virtual Result<wire::HeartbeatReply> heartbeat(const wire::HeartbeatRequest& request,
                                                 Millis lease) = 0;
  virtual Result<wire::CompleteReply> complete(const wire::CompleteRequest& request) = 0;
  // Returns how many bytes of the attempt's log the server has now.
  virtual Result<std::int64_t> logs(const wire::LogsRequest& request) = 0;

  virtual Result<BlobState> find_blob(const Hold& hold, const std::string& digest) = 0;
  // Sends part of the blob, which is whole once the last has been sent. Returns how many bytes the
  // server has. Errors: conflict (it has others than those before `part`: find_blob says how many).
  virtual Result<std::int64_t> put_part(const Hold& hold, const std::string& digest,
                                        const std::string& file, const FilePart& part) = 0;
  // Sends it, in one request.
  virtual Status put_blob(const Hold& hold, const std::string& digest, const std::string& file) = 0;
  // Writes the blob to `file`. The digest is the caller's to check.
  virtual Status get_blob(const Hold& hold, const std::string& digest, const std::string& file) = 0;
  virtual Result<std::optional<CacheEntry>> cache_get(const Hold& hold, const std::string& scope,
                                                      const std::string& key) = 0;
  virtual Status cache_put(const Hold& hold, const std::string& scope, const std::string& key,
                           const CacheEntry& entry) = 0;
  // Artifacts of a run, newest first; `name` empty: all of them.
  virtual Result<std::vector<ArtifactRef>> find_artifacts(const Hold& hold, Uuid run,
                                                          const std::string& name) = 0;
};

std::unique_ptr<WorkerApi> connect_worker(std::unique_ptr<Transport> transport);

// What an answer with an error status says: its problem document, else a code that fits the
// status.
Error error_of(const Answer& answer);

}  // namespace mc::client
