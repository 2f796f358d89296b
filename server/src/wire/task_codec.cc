#include "wire/task_codec.h"

#include <algorithm>
#include <csignal>
#include <cstring>

#include "base/text.h"
#include "base/uuid.h"
#include "model/workflow.h"
#include "wire/request_fields.h"

namespace mc::wire {
namespace {
constexpr std::size_t kTextMax = 64 << 10;
constexpr std::size_t kSummaryMax = 1 << 20;
constexpr std::size_t kHoldsMax = 10'000;  // as many as a worker may have slots

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::succeeded: return "succeeded";
    case Outcome::failed: return "failed";
    case Outcome::cancelled: return "cancelled";
    case Outcome::timed_out: return "timed_out";
    case Outcome::reused: return "reused";
  }
  return "";
}

std::optional<Outcome> read_outcome(const std::string& name) {
  if (name == "succeeded" || name == "success") return Outcome::succeeded;
  if (name == "failed" || name == "failure" || name == "error") return Outcome::failed;
  if (name == "cancelled" || name == "canceled") return Outcome::cancelled;
  if (name == "timed_out" || name == "timeout") return Outcome::timed_out;
  if (name == "reused") return Outcome::reused;
  return std::nullopt;
}

// 15, "15", "SIGTERM" or "TERM".
std::optional<int> read_signal(const Value& value) {
  if (value.is_int() && value.as_int() >= 0 && value.as_int() <= 64)
    return static_cast<int>(value.as_int());
  if (!value.is_string()) return std::nullopt;
  std::string_view name = value.as_string();
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (int number = 1; number < 32; ++number) {
    const char* known = sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  return std::nullopt;
}

void write_exit(JsonWriter& out, std::optional<int> exit_code, int signal) {
  if (exit_code) out.field("exit_code", *exit_code);
  if (signal > 0) out.field("signal", signal);
}

void read_exit(RequestFields& fields, std::optional<int>& exit_code, int& signal) {
  if (const Value* given = fields.optional("exit_code")) {
    if (given->is_int() && given->as_int() >= -1 && given->as_int() <= 255) {
      exit_code = static_cast<int>(given->as_int());
    } else {
      fields.wrong("exit_code", "a number from 0 to 255 is wanted");
    }
  }
  if (const Value* given = fields.optional("signal")) {
    if (const auto number = read_signal(*given)) {
      signal = *number;
    } else {
      fields.wrong("signal", "a signal's number or name is wanted");
    }
  }
}

void write_result(JsonWriter& out, const TaskResult& result) {
  out.open('{').field("task_id", result.task_id).field("fence", result.fence);
  out.field("outcome", outcome_name(result.outcome));
  if (result.failure_kind != FailureKind::none)
    out.field("failure_kind", to_name(result.failure_kind));
  write_exit(out, result.exit_code, result.signal);
  if (!result.message.empty()) out.field("message", to_valid_utf8(result.message));
  if (!result.outputs.as_object().empty()) out.field("outputs", result.outputs);
  if (!result.steps.empty()) {
    out.key("steps").open('[');
    for (const StepResult& step : result.steps) {
      out.open('{').field("id", step.id).field("name", to_valid_utf8(step.name));
      out.field("status", to_name(step.status));
      write_exit(out, step.exit_code, step.signal);
      out.field("duration_ms", step.duration_ms).close('}');
    }
    out.close(']');
  }
  if (!result.summary.empty()) out.field("summary", to_valid_utf8(result.summary));
  if (!result.annotations.as_list().empty()) out.field("annotations", result.annotations);
  if (!result.artifacts.empty()) {
    out.key("artifacts");
    write_artifacts(out, result.artifacts);
  }
  if (result.cache) {
    out.key("cache").open('{').field("key", result.cache->key).field("hit", result.cache->hit);
    out.field("from_run", result.cache->from_run).field("from_job", result.cache->from_job);
    out.field("saved_ms", result.cache->saved_ms).close('}');
  }
  out.close('}');
}

Result<StepResult> read_step(const Value& body) {
  RequestFields fields(body, {"id", "name", "status", "exit_code", "signal", "duration_ms"});
  StepResult step;
  fields.text("id", step.id, kTextMax);
  fields.text("name", step.name, kTextMax);
  std::string status;
  fields.text("status", status, 32);
  if (status == "success") status = "succeeded";
  if (status == "failure") status = "failed";
  if (const auto known = from_name<StepStatus>(status)) {
    step.status = *known;
  } else if (!status.empty()) {
    fields.wrong("status", "not a step's status");
  }
  read_exit(fields, step.exit_code, step.signal);
  fields.integer("duration_ms", step.duration_ms);
  return fields.finish(std::move(step));
}

Result<CacheResult> read_cache(const Value& body) {
  RequestFields fields(body, {"key", "hit", "from_run", "from_job", "saved_ms"});
  CacheResult cache;
  fields.text("key", cache.key, kTextMax);
  fields.boolean("hit", cache.hit);
  std::string run;
  fields.text("from_run", run, 64);
  cache.from_run = parse_uuid(run).value_or(Uuid{});
  fields.text("from_job", cache.from_job, kTextMax);
  fields.integer("saved_ms", cache.saved_ms);
  return fields.finish(std::move(cache));
}

Result<TaskResult> read_result(const Value& body) {
  RequestFields fields(
      body, {"task_id", "fence", "outcome", "failure_kind", "exit_code", "signal", "message",
             "outputs", "steps", "summary", "annotations", "artifacts", "cache"});
  TaskResult result;
  fields.require("task_id").text("task_id", result.task_id, 256);
  fields.require("fence").integer("fence", result.fence);
  std::string outcome, kind;
  fields.require("outcome").text("outcome", outcome, 32);
  if (const auto known = read_outcome(outcome)) {
    result.outcome = *known;
  } else if (!outcome.empty()) {
    fields.wrong("outcome", "succeeded, failed, cancelled, timed_out or reused is wanted");
  }
  fields.text("failure_kind", kind, 32);
  if (const auto known = from_name<FailureKind>(kind)) {
    result.failure_kind = *known;
  } else if (!kind.empty()) {
    fields.wrong("failure_kind", "not a kind of failure");
  }
  read_exit(fields, result.exit_code, result.signal);
  fields.text("message", result.message, kTextMax);
  if (const Value* outputs = fields.optional("outputs")) {
    outputs->is_object() ? void(result.outputs = *outputs)
                         : fields.wrong("outputs", "an object is wanted");
  }
  fields.list("steps", result.steps, read_step, 10'000);
  fields.text("summary", result.summary, kSummaryMax);
  if (const Value* list = fields.optional("annotations")) {
    list->is_list() ? void(result.annotations = *list)
                    : fields.wrong("annotations", "a list is wanted");
  }
  fields.list("artifacts", result.artifacts, read_artifact, 1'000);
  if (const Value* cache = fields.optional("cache")) {
    Result<CacheResult> read = read_cache(*cache);
    read ? void(result.cache = std::move(*read)) : fields.adopt("cache", read.error());
  }
  return fields.finish(std::move(result));
}

void write_task(JsonWriter& out, const Task& task) {
  out.open('{')
      .field("task_id", task.task_id)
      .field("fence", task.fence)
      .field("run_id", task.run_id);
  out.field("job", task.job).field("attempt", task.attempt).key("spec").raw(task.spec_json);
  out.field("deadline", task.deadline).close('}');
}

Result<Task> read_task(const Value& body) {
  // Answers may grow: what a worker does not know it passes over.
  Task task;
  task.task_id = body.string_or("task_id", "");
  task.fence = body.int_or("fence", 0);
  task.run_id = parse_uuid(body.string_or("run_id", "")).value_or(Uuid{});
  task.job = body.string_or("job", "");
  task.attempt = static_cast<int>(body.int_or("attempt", 1));
  const Value* spec = body.find("spec");
  task.spec_json = spec != nullptr ? to_json(*spec) : "{}";
  task.deadline = parse_rfc3339(body.string_or("deadline", "")).value_or(Instant{});
  if (task.task_id.empty())
    return Error{Code::malformed_request, "the server gave a task without an id", {}};
  return task;
}

Result<TaskHold> read_hold(const Value& body) {
  RequestFields fields(body, {"task_id", "fence"});
  TaskHold hold;
  fields.require("task_id").text("task_id", hold.task_id, 256);
  fields.require("fence").integer("fence", hold.fence);
  return fields.finish(std::move(hold));
}

void read_resources(RequestFields& fields, Resources& resources) {
  constexpr auto kMilliMax = static_cast<std::int64_t>(kCpusMax) * kMilliACpu;
  for (const auto& [name, value, max] : {std::tuple("cpu_milli", &resources.cpu_milli, kMilliMax),
                                         std::tuple("memory", &resources.memory, kMemoryMax)}) {
    fields.integer(name, *value);
    if (*value < 0 || *value > max)
      fields.wrong(name, "a number from 0 to " + std::to_string(max) + " is wanted");
  }
}

void write_resources(JsonWriter& out, const Resources& resources) {
  if (resources.cpu_milli > 0) out.field("cpu_milli", resources.cpu_milli);
  if (resources.memory > 0) out.field("memory", resources.memory);
}

Result<TaskUse> read_use(const Value& body) {
  RequestFields fields(body, {"task_id", "cpu_milli", "memory"});
  TaskUse use;
  fields.require("task_id").text("task_id", use.task_id, 256);
  read_resources(fields, use.resources);
  return fields.finish(std::move(use));
}

void write_uses(JsonWriter& out, const std::vector<TaskUse>& uses) {
  if (uses.empty()) return;
  out.key("holds").open('[');
  for (const TaskUse& use : uses) {
    write_resources(out.open('{').field("task_id", use.task_id), use.resources);
    out.close('}');
  }
  out.close(']');
}

void write_texts(JsonWriter& out, std::string_view name, const std::vector<std::string>& list) {
  out.key(name).open('[');
  for (const std::string& item : list) out.item(item);
  out.close(']');
}

std::vector<std::string> read_texts(const Value& body, std::string_view name) {
  std::vector<std::string> list;
  const Value* given = body.find(name);
  if (given == nullptr || !given->is_list()) return list;
  for (const Value& item : given->as_list()) {
    if (item.is_string()) list.push_back(item.as_string());
  }
  return list;
}
}  // namespace

void write_artifacts(JsonWriter& out, const std::vector<ArtifactRef>& artifacts) {
  out.open('[');
  for (const ArtifactRef& artifact : artifacts) {
    out.open('{').field("name", artifact.name).field("digest", artifact.digest);
    out.field("size", artifact.size).field("media_type", artifact.media_type);
    out.field("keep_ms", artifact.keep_ms).close('}');
  }
  out.close(']');
}

Result<ArtifactRef> read_artifact(const Value& body) {
  RequestFields fields(body, {"name", "digest", "size", "media_type", "keep_ms"});
  ArtifactRef artifact;
  fields.require("name").text("name", artifact.name, 1024);
  fields.require("digest").text("digest", artifact.digest, 128);
  fields.integer("size", artifact.size);
  fields.text("media_type", artifact.media_type, 256);
  fields.integer("keep_ms", artifact.keep_ms);
  return fields.finish(std::move(artifact));
}

std::string encode(const RegisterRequest& request) {
  JsonWriter out;
  out.open('{').field("name", request.name);
  write_texts(out, "labels", request.labels);
  out.field("slots", request.slots).field("version", request.version);
  if (!request.instance.empty()) out.field("instance", request.instance);
  if (!request.life.empty()) out.field("life", request.life);
  write_resources(out, request.resources);
  if (!request.worker_id.empty()) out.field("worker_id", request.worker_id);
  if (request.again) out.field("again", true);
  if (request.draining) out.field("draining", true);
  return out.close('}').take();
}
std::string encode(const RegisterReply& reply) {
  JsonWriter out;
  out.open('{').field("worker_id", reply.worker_id).field("heartbeat_ms", reply.heartbeat_ms);
  return out.field("lease_ms", reply.lease_ms).close('}').take();
}
std::string encode(const PollRequest& request) {
  JsonWriter out;
  out.open('{').field("worker_id", request.worker_id).field("max", request.max);
  out.field("wait_ms", request.wait_ms);
  write_uses(out, request.holds);
  if (request.max == 0 || request.parks_ms > 0) out.field("parks_ms", request.parks_ms);
  if (request.wants_next) out.field("wants_next", true);
  if (request.priority_min) out.field("priority_min", std::int64_t{*request.priority_min});
  return out.close('}').take();
}
std::string encode_tasks(const std::vector<Task>& tasks) {
  JsonWriter out;
  out.open('{').key("tasks").open('[');
  for (const Task& task : tasks) write_task(out, task);
  return out.close(']').close('}').take();
}
std::string encode(const HeartbeatRequest& request) {
  JsonWriter out;
  out.open('{').field("worker_id", request.worker_id).key("tasks").open('[');
  for (const TaskHold& hold : request.tasks) {
    out.open('{').field("task_id", hold.task_id).field("fence", hold.fence).close('}');
  }
  return out.close(']').close('}').take();
}
std::string encode(const HeartbeatReply& reply) {
  JsonWriter out;
  out.open('{');
  write_texts(out, "cancel", reply.cancel);
  write_texts(out, "lost", reply.lost);
  return out.close('}').take();
}
std::string encode(const CompleteRequest& request) {
  JsonWriter out;
  out.open('{').field("worker_id", request.worker_id).key("results").open('[');
  for (const TaskResult& result : request.results) write_result(out, result);
  out.close(']').field("max", request.max);
  write_uses(out, request.holds);
  return out.close('}').take();
}
std::string encode(const CompleteReply& reply) {
  JsonWriter out;
  out.open('{');
  write_texts(out, "accepted", reply.accepted);
  out.key("rejected").open('[');
  for (const Rejected& rejected : reply.rejected) {
    out.open('{').field("task_id", rejected.task_id).field("code", rejected.code).close('}');
  }
  out.close(']').key("tasks").open('[');
  for (const Task& task : reply.tasks) write_task(out, task);
  return out.close(']').close('}').take();
}
Result<RegisterRequest> decode_register_request(const Value& body) {
  RequestFields fields(body, {"name", "labels", "slots", "version", "instance", "life", "cpu_milli",
                              "memory", "worker_id", "again", "draining"});
  RegisterRequest request;
  fields.require("name").text("name", request.name, 128);
  if (const Value* labels = fields.optional("labels")) {
    request.labels = read_texts(body, "labels");
    const bool whole = labels->is_list() && labels->as_list().size() == request.labels.size();
    if (!whole || request.labels.size() > 100)
      fields.wrong("labels", "a list of up to 100 strings is wanted");
  }
  std::int64_t slots = 1;
  fields.integer("slots", slots);
  if (slots < 0 || slots > 10'000) fields.wrong("slots", "a number from 0 to 10000 is wanted");
  request.slots = static_cast<int>(std::clamp<std::int64_t>(slots, 0, 10'000));
  fields.text("version", request.version, 64);
  fields.text("instance", request.instance, 64);
  fields.text("life", request.life, 64);
  read_resources(fields, request.resources);
  if (fields.optional("worker_id") != nullptr) {
    std::string id;
    fields.text("worker_id", id, 128);
    const auto parsed = parse_uuid(id);
    parsed && *parsed ? void(request.worker_id = to_string(*parsed))
                      : fields.wrong("worker_id", "a UUID is wanted");
  }
  fields.boolean("again", request.again);
  if (request.again && request.worker_id.empty())
    fields.wrong("again", "worker_id is wanted with it");
  fields.boolean("draining", request.draining);
  if (request.draining && !request.again) fields.wrong("draining", "again is wanted with it");
  return fields.finish(std::move(request));
}
Result<RegisterReply> decode_register_reply(const Value& body) {
  return RegisterReply{body.string_or("worker_id", ""), body.int_or("heartbeat_ms", 5000),
                       body.int_or("lease_ms", 20000)};
}
Result<PollRequest> decode_poll_request(const Value& body) {
  RequestFields fields(
      body, {"worker_id", "max", "wait_ms", "holds", "parks_ms", "wants_next", "priority_min"});
  PollRequest request;
  fields.require("worker_id").text("worker_id", request.worker_id, 128);
  std::int64_t max = 1;
  fields.integer("max", max);
  fields.boolean("wants_next", request.wants_next);
  if (fields.optional("priority_min") != nullptr) {
    std::int64_t least = 0;
    fields.integer("priority_min", least);
    if (least < kPriorityMin || least > kPriorityMax)
      fields.wrong("priority_min", "a number from -100 to 100 is wanted");
    request.priority_min =
        static_cast<int>(std::clamp<std::int64_t>(least, kPriorityMin, kPriorityMax));
  }
  const std::int64_t least = request.wants_next || fields.optional("parks_ms") != nullptr ? 0 : 1;
  if (max < least || max > 100'000) fields.wrong("max", "a number from 1 to 100000 is wanted");
  request.max = static_cast<int>(std::clamp<std::int64_t>(max, least, 100'000));
  fields.integer("wait_ms", request.wait_ms);
  fields.list("holds", request.holds, read_use, kHoldsMax);
  fields.integer("parks_ms", request.parks_ms);
  if (request.parks_ms < 0) fields.wrong("parks_ms", "a number from 0 on is wanted");
  return fields.finish(std::move(request));
}
Result<std::vector<Task>> decode_tasks(const Value& body) {
  std::vector<Task> tasks;
  const Value* list = body.find("tasks");
  if (list == nullptr || !list->is_list()) return tasks;
  for (const Value& item : list->as_list()) {
    Result<Task> task = read_task(item);
    if (!task) return task.error();
    tasks.push_back(std::move(*task));
  }
  return tasks;
}
Result<HeartbeatRequest> decode_heartbeat_request(const Value& body) {
  RequestFields fields(body, {"worker_id", "tasks"});
  HeartbeatRequest request;
  fields.require("worker_id").text("worker_id", request.worker_id, 128);
  fields.list("tasks", request.tasks, read_hold, 100'000);
  return fields.finish(std::move(request));
}
Result<HeartbeatReply> decode_heartbeat_reply(const Value& body) {
  return HeartbeatReply{read_texts(body, "cancel"), read_texts(body, "lost")};
}
Result<CompleteRequest> decode_complete_request(const Value& body) {
  RequestFields fields(body, {"worker_id", "results", "max", "holds"});
  CompleteRequest request;
  fields.require("worker_id").text("worker_id", request.worker_id, 128);
  fields.list("results", request.results, read_result, 100'000);
  std::int64_t max = 0;
  fields.integer("max", max);
  request.max = static_cast<int>(std::clamp<std::int64_t>(max, 0, 100'000));
  fields.list("holds", request.holds, read_use, kHoldsMax);
  return fields.finish(std::move(request));
}
Result<CompleteReply> decode_complete_reply(const Value& body) {
  CompleteReply reply;
  reply.accepted = read_texts(body, "accepted");
  const Value* rejected = body.find("rejected");
  if (rejected != nullptr && rejected->is_list()) {
    for (const Value& item : rejected->as_list()) {
      reply.rejected.push_back({item.string_or("task_id", ""), item.string_or("code", "")});
    }
  }
  Result<std::vector<Task>> tasks = decode_tasks(body);
  if (!tasks) return tasks.error();
  reply.tasks = std::move(*tasks);
  return reply;
}
}  // namespace mc::wire
