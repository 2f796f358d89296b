// The calls for blobs, cache entries and artifacts of a running job, tried again while the server
// is away: a job must not fail because its server was restarted. The other calls pass through;
// their callers have patience of their own.
//
// Repeating is harmless: blobs are named by their content, and the latest cache entry wins. A large
// blob goes in parts: after a failure the server is asked what it has, and the rest is sent.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/worker_api.h"

namespace mc::worker {

// Long enough for a restart or an update, short enough to say what is wrong while somebody watches.
inline constexpr std::chrono::seconds kStoragePatience{120};
inline constexpr std::int64_t kUploadPartBytes = 16 << 20;

// Thread rule: as the api's.
class PatientApi final : public client::WorkerApi {
 public:
  // `pause` waits a moment; false: give up. Both must outlive this.
  PatientApi(client::WorkerApi& api, std::function<bool()> pause,
             std::int64_t part_bytes = kUploadPartBytes)
      : api_(api), pause_(std::move(pause)), part_bytes_(part_bytes) {}

  Result<wire::RegisterReply> register_worker(const wire::RegisterRequest& request) override {
    return api_.register_worker(request);
  }
  Result<std::vector<Task>> poll(const wire::PollRequest& request, std::stop_token stop) override {
    return api_.poll(request, std::move(stop));
  }
  Result<wire::HeartbeatReply> heartbeat(const wire::HeartbeatRequest& request,
                                         Millis lease) override {
    return api_.heartbeat(request, lease);
  }
  Result<wire::CompleteReply> complete(const wire::CompleteRequest& request) override {
    return api_.complete(request);
  }
  Result<std::int64_t> logs(const wire::LogsRequest& request) override {
    return api_.logs(request);
  }

  Result<client::BlobState> find_blob(const client::Hold& hold, const std::string& digest) override;
  // One try: whoever fails asks find_blob next.
  Result<std::int64_t> put_part(const client::Hold& hold, const std::string& digest,
                                const std::string& file, const client::FilePart& part) override {
    return api_.put_part(hold, digest, file, part);
  }
  // Sends what the server lacks of the file, in one request or in parts. The patience begins anew
  // with each part that arrives.
  Status put_blob(const client::Hold& hold, const std::string& digest,
                  const std::string& file) override;
  Status get_blob(const client::Hold& hold, const std::string& digest,
                  const std::string& file) override;
  Result<std::optional<client::CacheEntry>> cache_get(const client::Hold& hold,
                                                      const std::string& scope,
                                                      const std::string& key) override;
  Status cache_put(const client::Hold& hold, const std::string& scope, const std::string& key,
                   const client::CacheEntry& entry) override;
  Result<std::vector<ArtifactRef>> find_artifacts(const client::Hold& hold, Uuid run,
                                                  const std::string& name) override;

 private:
  template <class Call>
  auto insist(const Call& call) -> decltype(call());
  Status send_parts(const client::Hold& hold, const std::string& digest, const std::string& file,
                    client::FilePart next, std::int64_t& best);
  Status send_rest(const client::Hold& hold, const std::string& digest, const std::string& file,
                   std::int64_t& best);

  client::WorkerApi& api_;
  std::function<bool()> pause_;
  std::int64_t part_bytes_;
};

}  // namespace mc::worker
