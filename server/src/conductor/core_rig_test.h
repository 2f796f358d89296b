// A conductor over a store in memory that can be told to fail, with a clock that is told the time:
// what the server does, without threads.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "conductor/core.h"
#include "db/faulty/faulty_store.h"
#include "db/memory/memory_store.h"

namespace mc::conductor {

inline const auth::Principal kAda{"ada", auth::Role::admin, "default", {}, "t1"};

// Takes what a call answers.
template <class T>
struct Reply {
  std::optional<Result<T>> value;
  Done<T> done() {
    return [this](Result<T> result) { value.emplace(std::move(result)); };
  }
  bool here() const { return value.has_value(); }
  T& operator*() { return **value; }
  Code code() const { return value->error().code; }
};

class CoreRig : public testing::Test {
 protected:
  // As a start of the server: what the last one knew is what the store has.
  void boot() {
    Options options;
    options.seed = 7;
    options.embedded_worker = "embedded";
    options.project_weights = weights;
    options.task_prefix = prefix;
    options.shard = shard;
    options.shards = shards;
    core = std::make_unique<Core>(store, options);
    ASSERT_TRUE(core->recover(now).ok());
    flush();
  }
  // Commits until nothing is left to commit.
  void flush() {
    for (int i = 0; i < 1000 && core->has_commit(); ++i) {
      Commit commit = core->take_commit();
      const Status status = commit.batch.empty() ? Status() : store.commit(commit.batch);
      core->finish_commit(std::move(commit), status, now);
    }
    ASSERT_FALSE(core->has_commit());
  }
  // Stops at every moment at which something is due.
  void pass(Millis time) {
    const Instant then = now + time;
    core->tick(now);
    flush();
    for (Instant wake = core->next_wake(); wake && wake <= then; wake = core->next_wake()) {
      now = std::max(now, wake);
      core->tick(now);
      flush();
    }
    now = then;
  }
  static StartRun request(const std::string& definition, Value inputs = Object{}) {
    StartRun start;
    start.principal = kAda;
    start.definition = definition;
    start.inputs = std::move(inputs);
    return start;
  }
  Uuid start(StartRun request) {
    Reply<RunView> reply;
    core->start_run(std::move(request), now, reply.done());
    core->tick(now);
    flush();
    EXPECT_TRUE(reply.here() && reply.value->ok())
        << (reply.here() ? reply.value->error().message : "no reply");
    return reply.here() && reply.value->ok() ? (*reply).id : Uuid{};
  }
  Uuid start(const std::string& definition, Value inputs = Object{}) {
    return start(request(definition, std::move(inputs)));
  }
  Value show(Uuid id) {
    Reply<RunView> reply;
    core->run(kAda, id, reply.done());
    flush();
    return reply.value->ok() ? *parse_json((*reply).json) : Value();
  }
  std::string status(Uuid id) { return show(id).string_or("status", "?"); }
  std::string worker(const std::string& name = "w", std::vector<std::string> labels = {"linux"}) {
    Reply<wire::RegisterReply> reply;
    core->register_worker(kAda, {name, std::move(labels), 4, "1"}, now, reply.done());
    return (*reply).worker_id;
  }
  std::vector<Task> poll(const std::string& id, int max = 10) {
    Reply<std::vector<Task>> reply;
    core->poll({id, max, 0}, now, reply.done());
    core->tick(now);
    flush();
    return reply.here() && reply.value->ok() ? *reply : std::vector<Task>{};
  }
  wire::CompleteReply complete(const std::string& id, const Task& task,
                               Outcome outcome = Outcome::succeeded, int max = 0,
                               std::vector<ArtifactRef> artifacts = {}) {
    TaskResult result;
    result.task_id = task.task_id;
    result.fence = task.fence;
    result.outcome = outcome;
    result.artifacts = std::move(artifacts);
    Reply<wire::CompleteReply> reply;
    core->complete({id, {result}, max}, now, reply.done());
    core->tick(now);
    flush();
    return *reply;
  }
  void put(const std::string& name, const std::string& text) {
    Reply<WorkflowVersion> reply;
    core->put_workflow(kAda, name, text, now, reply.done());
    flush();
    ASSERT_TRUE(reply.here() && reply.value->ok());
  }

  std::map<std::string, int> weights;  // of the next boot
  std::string prefix;                  // of the ids of tasks, as weights
  int shard = 0, shards = 1;
  std::unique_ptr<db::Store> disk = db::make_memory_store();
  db::FaultyStore store{*disk};
  std::unique_ptr<Core> core;
  Instant now{1'700'000'000'000};
};

}  // namespace mc::conductor
