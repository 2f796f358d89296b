// The worker protocol's JSON (docs/reference/worker-protocol.md), both directions, used by the
// server and by client/. Readers refuse unknown fields (unknown_field) and wrong types
// (invalid_field).
#pragma once

#include <optional>
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
  // the former is over. Empty: not told. A life without an instance: its tasks go on when it ends.
  std::string instance;
  std::string life;
  Resources resources;  // for all of its jobs together; 0: no limit
  // A UUID: what it is to be called here, because it is called so elsewhere. Empty: the server
  // chooses. Workers do not say it; who passes a registration on to several shards does.
  std::string worker_id;
  // With worker_id: told by who remembers the worker, to a server that may have forgotten it.
  // Nobody else leaves for it: who has the name may be its next life. Else worker_not_found.
  bool again = false;
  bool draining = false;  // with again: it was told so elsewhere
};
struct RegisterReply {
  std::string worker_id;
  std::int64_t heartbeat_ms = 0;
  std::int64_t lease_ms = 0;
};
// What one task takes of its worker.
struct TaskUse {
  std::string task_id;
  Resources resources;
};
struct PollRequest {
  std::string worker_id;
  int max = 1;  // 0 with parks_ms or wants_next only: asks for nothing, says where it waits
  std::int64_t wait_ms = 0;
  // The tasks at work that take something, whoever gave them: said by workers with `resources`.
  std::vector<TaskUse> holds = {};
  // The worker waits elsewhere for so long after this poll: until then, or its next poll, it counts
  // as one that waits here. Workers do not say it; who waits in their place does.
  std::int64_t parks_ms = 0;
  // The answer says what would be given next (wire/offer.h). Workers do not ask it. With max 0 and
  // parks_ms 0 it is but a question: nothing is noted of the worker.
  bool wants_next = false;
  // With wants_next: no job of a lower priority is given, but what is due by age: somebody else has
  // one of this.
  std::optional<int> priority_min = {};
};
// A header of a poll's answer: the worker drains, and was given nothing for that.
inline constexpr std::string_view kDrainingHeader = "Maestro-Draining";
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
  int max = 0;                      // how many new tasks the answer may carry
  std::vector<TaskUse> holds = {};  // as a poll's, without what `results` ends; with max > 0 only
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
