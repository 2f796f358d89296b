// The worker protocol's JSON (docs/reference/worker-protocol.md), both directions, used by the
// server and by client/. Readers refuse unknown fields (unknown_field) and wrong types
// (invalid_field).
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "model/resources.h"
#include "model/task.h"

namespace mc::wire {

struct RegisterRequest {
  std::string name;
  std::vector<std::string> labels;
  int slots = 1;
  std::string version;
  // Which data folder it works in, and which start of a worker there: of two lives of one instance
  // the former is over. Empty: not told.
  std::string instance;
  std::string life;
  Resources resources;  // for all of its jobs together; 0: no limit
};
struct RegisterReply {
  std::string worker_id;
  std::int64_t heartbeat_ms = 0;
  std::int64_t lease_ms = 0;
};
struct PollRequest {
  std::string worker_id;
  int max = 1;
  std::int64_t wait_ms = 0;
};
struct TaskHold {
  std::string task_id;
  std::int64_t fence = 0;
};
struct HeartbeatRequest {
  std::string worker_id;
  std::vector<TaskHold> tasks;
};
struct HeartbeatReply {
  std::vector<std::string>
      cancel;                     // task ids: stop by the cancel ladder, then complete as cancelled
  std::vector<std::string> lost;  // task ids: kill at once, report nothing
};
struct CompleteRequest {
  std::string worker_id;
  std::vector<TaskResult> results;
  int max = 0;  // how many new tasks the answer may carry
};
struct Rejected {
  std::string task_id;
  std::string code;  // fenced, run_final, …
};
struct CompleteReply {
  std::vector<std::string> accepted;
  std::vector<Rejected> rejected;
  std::vector<Task> tasks;
};
std::string encode(const RegisterRequest& request);
std::string encode(const RegisterReply& reply);
std::string encode(const PollRequest& request);
std::string encode_tasks(const std::vector<Task>& tasks);  // {tasks: […]}
std::string encode(const HeartbeatRequest& request);
std::string encode(const HeartbeatReply& reply);
std::string encode(const CompleteRequest& request);
std::string encode(const CompleteReply& reply);

// Artifacts as `complete` and cache entries carry them: a list of {name, digest, size, media_type,
// keep_ms}.
void write_artifacts(JsonWriter& out, const std::vector<ArtifactRef>& artifacts);
Result<ArtifactRef> read_artifact(const Value& body);

Result<RegisterRequest> decode_register_request(const Value& body);
Result<RegisterReply> decode_register_reply(const Value& body);
Result<PollRequest> decode_poll_request(const Value& body);
Result<std::vector<Task>> decode_tasks(const Value& body);
Result<HeartbeatRequest> decode_heartbeat_request(const Value& body);
Result<HeartbeatReply> decode_heartbeat_reply(const Value& body);
Result<CompleteRequest> decode_complete_request(const Value& body);
Result<CompleteReply> decode_complete_reply(const Value& body);

}  // namespace mc::wire
