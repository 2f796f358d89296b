#include "client/worker_api.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "base/text.h"
#include "wire/logs_codec.h"
#include "wire/own_json.h"
#include "wire/task_codec.h"

namespace mc::client {
namespace {
// A replica that fell silent is left for the next one while the lease of what is held (15 s unless
// set otherwise) still has room for that. A heartbeat is answered from memory, a completion waits
// for a commit.
constexpr Millis kHeartbeatTimeout{4'000};
constexpr Millis kHeartbeatTimeoutMin{500};
constexpr int kHeartbeatsALease = 4;
constexpr Millis kCallTimeout{10'000};
constexpr Millis kPollSlack{5'000};        // beyond what the server was asked to wait
constexpr Millis kBlobTimeout{3'600'000};  // a blob may be many gigabytes
constexpr int kFirstErrorStatus = 400;
constexpr Millis kPartTimeout{600'000};  // 16 MiB by the slowest line that the server bears
constexpr int kNotFound = 404;
constexpr int kConflict = 409;
constexpr const char* kBytesType = "application/octet-stream";

Code code_for_status(int status) {
  switch (status) {
    case 401: return Code::unauthenticated;
    case 403: return Code::forbidden;
    case kNotFound: return Code::not_found;
    case 413: return Code::too_large;
    case 429: return Code::rate_limited;
    default: return status >= 500 ? Code::overloaded : Code::malformed_request;
  }
}

std::string entry_json(const CacheEntry& entry) {
  JsonWriter out;
  out.open('{').field("digest", entry.digest).field("size", entry.size).field("run", entry.run);
  out.field("job", entry.job).field("duration_ms", entry.duration_ms);
  out.field("outputs", entry.outputs).key("artifacts");
  wire::write_artifacts(out, entry.artifacts);
  return out.close('}').take();
}

// The list `name` of `json`.
std::vector<ArtifactRef> artifacts_from(const Value& json, std::string_view name) {
  std::vector<ArtifactRef> artifacts;
  const Value* items = json.find(name);
  if (items == nullptr || !items->is_list()) return artifacts;
  for (const Value& item : items->as_list()) {
    artifacts.push_back({.name = item.string_or("name", ""),
                         .digest = item.string_or("digest", ""),
                         .size = item.int_or("size", 0),
                         .media_type = item.string_or("media_type", ""),
                         .keep_ms = item.int_or("keep_ms", 0)});
  }
  return artifacts;
}

CacheEntry entry_from(const Value& json) {
  CacheEntry entry;
  entry.digest = json.string_or("digest", "");
  entry.size = json.int_or("size", 0);
  entry.run = parse_uuid(json.string_or("run", "")).value_or(Uuid{});
  entry.job = json.string_or("job", "");
  entry.duration_ms = json.int_or("duration_ms", 0);
  entry.created_at = parse_rfc3339(json.string_or("created_at", "")).value_or(Instant{});
  if (const Value* outputs = json.find("outputs"); outputs != nullptr && outputs->is_object()) {
    entry.outputs = *outputs;
  }
  entry.artifacts = artifacts_from(json, "artifacts");
  return entry;
}

bool is_unknown_field(const Result<Value>& body) {
  return !body.ok() && body.error().code == Code::unknown_field;
}

class ServerWorkerApi final : public WorkerApi {
 public:
  explicit ServerWorkerApi(std::unique_ptr<Transport> transport)
      : transport_(std::move(transport)) {}

  Result<wire::RegisterReply> register_worker(const wire::RegisterRequest& request) override {
    // A server of an older release refuses fields that it does not know: the youngest go first.
    wire::RegisterRequest known = request;
    auto body = post("register", wire::encode(known));
    if (is_unknown_field(body)) {
      known.resources = {};
      body = post("register", wire::encode(known));
    }
    if (is_unknown_field(body)) {
      known.instance = known.life = "";
      body = post("register", wire::encode(known));
    }
    return body.ok() ? wire::decode_register_reply(*body) : body.error();
  }
  Result<std::vector<Task>> poll(const wire::PollRequest& request, std::stop_token stop) override {
    const Millis timeout = Millis(request.wait_ms) + kPollSlack;
    auto body = post("poll", wire::encode(request), timeout, stop);
    if (is_unknown_field(body) && !request.holds.empty()) {
      wire::PollRequest known = request;
      known.holds.clear();
      body = post("poll", wire::encode(known), timeout, std::move(stop));
    }
    return body.ok() ? wire::decode_tasks(*body) : body.error();
  }
  Result<wire::HeartbeatReply> heartbeat(const wire::HeartbeatRequest& request,
                                         Millis lease) override {
    const Millis timeout = lease.count() > 0 ? std::clamp(lease / kHeartbeatsALease,
                                                          kHeartbeatTimeoutMin, kHeartbeatTimeout)
                                             : kHeartbeatTimeout;
    const auto body = post("heartbeat", wire::encode(request), timeout);
    return body.ok() ? wire::decode_heartbeat_reply(*body) : body.error();
  }
  Result<wire::CompleteReply> complete(const wire::CompleteRequest& request) override {
    auto body = post("complete", wire::encode(request));
    if (is_unknown_field(body) && !request.holds.empty()) {
      wire::CompleteRequest known = request;
      known.holds.clear();
      body = post("complete", wire::encode(known));
    }
    return body.ok() ? wire::decode_complete_reply(*body) : body.error();
  }
  Result<std::int64_t> logs(const wire::LogsRequest& request) override {
    const auto body = json_of(
        transport_->send({.method = "POST",
                          // Who passes it on reads no body.
                          .path = "/api/v1/worker/logs?task_id=" + percent_encode(request.task_id),
                          .body = wire::encode_raw(request),
                          .content_type = std::string(wire::kRawLogs)}));
    if (!body.ok()) return body.error();
    return body->int_or("next_offset", request.offset);
  }

  Result<BlobState> find_blob(const Hold& hold, const std::string& digest) override {
    const Call call{.method = "HEAD", .path = blob_path(hold, digest)};
    const auto answer = transport_->send(call);
    if (!answer.ok()) return answer.error();
    if (answer->status == kNotFound) return BlobState{.arrived = upload_offset(*answer)};
    // An answer to HEAD has no body that says more.
    if (answer->status == kConflict)
      return Error{Code::fenced, "the server has taken this task back", {}};
    if (answer->status >= kFirstErrorStatus) return error_of(*answer);
    return BlobState{.whole = true, .arrived = {}};
  }
  Result<std::int64_t> put_part(const Hold& hold, const std::string& digest,
                                const std::string& file, const FilePart& part) override {
    Call call{.method = "PATCH",
              .path = blob_path(hold, digest),
              .content_type = kBytesType,
              .headers = {{"Upload-Offset", std::to_string(part.offset)},
                          {"Upload-Length", std::to_string(part.file_size)}},
              .timeout = kPartTimeout};
    if (part.length > 0) {
      call.body_file = file;
      call.body_offset = part.offset;
      call.body_size = part.length;
    }
    const auto answer = transport_->send(call);
    if (!answer.ok()) return answer.error();
    if (answer->status >= kFirstErrorStatus) return error_of(*answer);
    return upload_offset(*answer).value_or(part.offset + part.length);
  }
  Status put_blob(const Hold& hold, const std::string& digest, const std::string& file) override {
    return done({.method = "PUT",
                 .path = blob_path(hold, digest),
                 .body_file = file,
                 .content_type = kBytesType,
                 .timeout = kBlobTimeout});
  }
  Status get_blob(const Hold& hold, const std::string& digest, const std::string& file) override {
    return done({.path = blob_path(hold, digest), .timeout = kBlobTimeout, .save_to = file});
  }

  Result<std::optional<CacheEntry>> cache_get(const Hold& hold, const std::string& scope,
                                              const std::string& key) override {
    const auto body = json_of(transport_->send({.path = cache_path(hold, scope, key)}));
    if (body.ok()) return std::optional(entry_from(*body));
    if (body.error().code == Code::not_found) return std::optional<CacheEntry>();
    return body.error();
  }
  Status cache_put(const Hold& hold, const std::string& scope, const std::string& key,
                   const CacheEntry& entry) override {
    return done({.method = "PUT", .path = cache_path(hold, scope, key), .body = entry_json(entry)});
  }
  Result<std::vector<ArtifactRef>> find_artifacts(const Hold& hold, Uuid run,
                                                  const std::string& name) override {
    std::string path = "/api/v1/worker/artifacts?run=" + to_string(run) + "&" + task_query(hold);
    if (!name.empty()) path += "&name=" + percent_encode(name);
    const auto body = json_of(transport_->send({.path = path}));
    if (!body.ok()) return body.error();
    return artifacts_from(*body, "items");
  }

 private:
  static std::string task_query(const Hold& hold) {
    return "task_id=" + percent_encode(hold.task_id) + "&fence=" + std::to_string(hold.fence);
  }
  static std::string blob_path(const Hold& hold, const std::string& digest) {
    return "/api/v1/worker/blobs/" + digest + "?" + task_query(hold);
  }
  static std::optional<std::int64_t> upload_offset(const Answer& answer) {
    for (const auto& [name, value] : answer.headers) {
      std::int64_t bytes = 0;
      const char* end = value.data() + value.size();
      if (name == "upload-offset" && std::from_chars(value.data(), end, bytes).ptr == end &&
          !value.empty() && bytes >= 0)
        return bytes;
    }
    return std::nullopt;
  }
  static std::string cache_path(const Hold& hold, const std::string& scope,
                                const std::string& key) {
    return "/api/v1/worker/cache?scope=" + percent_encode(scope) + "&key=" + percent_encode(key) +
           "&" + task_query(hold);
  }

  static Result<Value> json_of(const Result<Answer>& answer) {
    if (!answer.ok()) return answer.error();
    if (answer->status >= kFirstErrorStatus) return error_of(*answer);
    return answer->body.empty() ? Result<Value>(Object{})
                                : parse_json(answer->body, wire::kOwnJson);
  }
  Result<Value> post(const char* call, std::string body, Millis timeout = kCallTimeout,
                     std::stop_token stop = {}) {
    return json_of(transport_->send({.method = "POST",
                                     .path = std::string("/api/v1/worker/") + call,
                                     .body = std::move(body),
                                     .timeout = timeout,
                                     .stop = std::move(stop)}));
  }
  Status done(const Call& call) {
    const auto answer = transport_->send(call);
    if (!answer.ok()) return answer.error();
    return answer->status >= kFirstErrorStatus ? Status(error_of(*answer)) : Status();
  }

  std::unique_ptr<Transport> transport_;
};
}  // namespace

std::unique_ptr<WorkerApi> connect_worker(std::unique_ptr<Transport> transport) {
  return std::make_unique<ServerWorkerApi>(std::move(transport));
}

Error error_of(const Answer& answer) {
  const Code code = code_for_status(answer.status);
  const auto body = parse_json(answer.body, wire::kOwnJson);
  if (!body.ok() || !body->is_object()) {
    return {code, "the server answered " + std::to_string(answer.status), {}};
  }
  return {code_from_name(body->string_or("code", ""), code),
          body->string_or("detail", body->string_or("title", "the server refused")),
          {}};
}

}  // namespace mc::client
