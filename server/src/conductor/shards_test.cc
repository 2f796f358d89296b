// What a conductor of one shard does so that a worker can be served by several.
#include "conductor/core_rig_test.h"

namespace mc::conductor {
namespace {
constexpr const char* kOne = "jobs: {a: {steps: [{run: x}]}}";
constexpr const char* kTwoCpus = "jobs: {a: {resources: {cpu: 2}, steps: [{run: x}]}}";
constexpr const char* kId = "0193a5c0-0000-7000-8000-00000000000f";

class ShardsTest : public CoreRig {
 protected:
  ShardsTest() {
    prefix = "s3.";
    boot();
  }

  Result<wire::RegisterReply> enlist(wire::RegisterRequest request) {
    Reply<wire::RegisterReply> reply;
    core->register_worker(kAda, request, now, reply.done());
    flush();
    return *reply.value;
  }
  std::string four_cpus() { return enlist({.name = "w", .resources = {4000, 0}})->worker_id; }
  Result<std::vector<Task>> ask(wire::PollRequest request) {
    Reply<std::vector<Task>> reply;
    core->poll(request, now, reply.done());
    core->tick(now);
    flush();
    return reply.here() ? *reply.value : Result<std::vector<Task>>(Error{Code::internal, "", {}});
  }
  std::size_t given(const std::string& worker, std::vector<wire::TaskUse> holds) {
    const auto tasks = ask({worker, 1, 0, std::move(holds)});
    return tasks.ok() ? tasks->size() : 99;
  }
  static wire::TaskUse takes(const std::string& task, std::int64_t cpu_milli) {
    return {task, {.cpu_milli = cpu_milli}};
  }
  bool is_held(const std::string& task, std::int64_t fence) {
    Reply<LogTarget> reply;
    core->check_hold(task, fence, reply.done());
    return reply.value->ok();
  }
  std::string state_of(const std::string& worker) {
    Reply<std::string> reply;
    core->workers(now, reply.done());
    const Value body = *parse_json(*reply);
    for (const Value& each : body.find("items")->as_list())
      if (each.string_or("id", "") == worker) return each.string_or("status", "");
    return "unknown";
  }
  bool left() {
    core->tick(now);
    flush();
    return core->take_left_ready();
  }
  // The same without prefix.
  static std::string bare(const Task& task) { return task.task_id.substr(3); }
};

TEST_F(ShardsTest, ATasksIdSaysItsShardAndIsUnderstoodWithAndWithout) {
  const std::string id = worker();
  const Uuid run = start(kOne);
  const Task task = poll(id).at(0);
  EXPECT_EQ(task.task_id, "s3." + to_string(run) + ".0.1");
  for (const std::string& name : {task.task_id, bare(task)}) {
    EXPECT_TRUE(is_held(name, task.fence)) << name;
    Reply<wire::HeartbeatReply> beaten;
    core->heartbeat({id, {{name, task.fence}}}, now, beaten.done());
    EXPECT_TRUE((*beaten).lost.empty()) << name;
  }
  EXPECT_FALSE(is_held("s4." + bare(task), task.fence));
  EXPECT_FALSE(is_held("s3.s3." + bare(task), task.fence));
  Task other = task;
  other.task_id = "s4." + bare(task);
  EXPECT_EQ(complete(id, other).rejected.size(), 1U) << "another shard's";
  Task same = task;
  same.task_id = bare(task);
  EXPECT_EQ(complete(id, same).accepted, std::vector<std::string>{bare(task)});
  EXPECT_EQ(status(run), "succeeded");
}

TEST_F(ShardsTest, ATasksIdIsUnderstoodOnceThereIsOneShard) {
  prefix.clear();
  boot();
  const std::string id = worker();
  start(kOne);
  Task task = poll(id).at(0);
  task.task_id = "s7." + task.task_id;
  EXPECT_TRUE(is_held(task.task_id, task.fence));
  EXPECT_EQ(complete(id, task).accepted.size(), 1U);
  EXPECT_FALSE(is_held("s7", 1));
  EXPECT_FALSE(is_held("s.", 1));
}

TEST_F(ShardsTest, AWorkerIsKnownByTheIdItHasElsewhere) {
  const wire::RegisterRequest request{
      .name = "w", .instance = "folder", .life = "1", .worker_id = kId};
  ASSERT_TRUE(enlist(request).ok());
  EXPECT_EQ(enlist(request)->worker_id, kId) << "told again";
  start(kOne);
  EXPECT_EQ(poll(kId).size(), 1U);
}

TEST_F(ShardsTest, AnIdIsOneWorkers) {
  ASSERT_TRUE(enlist({.name = "w", .instance = "folder", .worker_id = kId}).ok());
  const auto other = enlist({.name = "w", .instance = "elsewhere", .worker_id = kId});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, Code::conflict);
  EXPECT_EQ(enlist({.name = "x", .instance = "folder", .worker_id = kId}).error().code,
            Code::conflict);
  EXPECT_TRUE(ask({kId, 1, 0}).ok()) << "who has it goes on";
}

TEST_F(ShardsTest, WhoIsToldAgainTakesNobodysPlace) {
  const wire::RegisterRequest old{
      .name = "w", .instance = "folder", .life = "1", .worker_id = kId, .again = true};
  ASSERT_TRUE(enlist(old).ok()) << "nobody has the name";
  const std::string next = enlist({.name = "w", .instance = "folder", .life = "2"})->worker_id;
  start(kOne);
  const Task task = poll(next).at(0);
  EXPECT_EQ(enlist(old).error().code, Code::worker_not_found);
  EXPECT_TRUE(is_held(task.task_id, task.fence)) << "its next life goes on";
  EXPECT_TRUE(ask({next, 1, 0}).ok());
}

TEST_F(ShardsTest, WhoIsToldAgainAndKnownStaysAsItIs) {
  wire::RegisterRequest request{.name = "w", .instance = "folder", .life = "1", .worker_id = kId};
  ASSERT_TRUE(enlist(request).ok());
  start(kOne);
  ASSERT_EQ(poll(kId).size(), 1U);
  request.again = true;
  EXPECT_EQ(enlist(request)->worker_id, kId);
  EXPECT_EQ(state_of(kId), "busy");
}

TEST_F(ShardsTest, WhoIsToldAgainDrainsAsItDidElsewhere) {
  ASSERT_TRUE(
      enlist({.name = "w", .instance = "f", .worker_id = kId, .again = true, .draining = true})
          .ok());
  start(kOne);
  EXPECT_EQ(state_of(kId), "draining");
  EXPECT_EQ(given(kId, {}), 0U);
}

TEST_F(ShardsTest, APollIsToldWhatComesNext) {
  const std::string id = four_cpus();
  const auto next = [&](int max) {
    const auto aside = std::make_shared<PollAside>();
    Reply<std::vector<Task>> reply;
    core->poll({.worker_id = id, .max = max, .wants_next = true}, now, reply.done(), nullptr,
               aside);
    core->tick(now);
    flush();
    EXPECT_EQ(reply.here() && reply.value->ok() ? (*reply).size() : 99,
              static_cast<std::size_t>(max));
    return aside->next.value_or(wire::Next{}).offer;
  };
  EXPECT_FALSE(next(0));
  start(kOne);
  start("priority: 7\njobs: {a: {steps: [{run: x}]}}");
  start("priority: 9\njobs: {a: {resources: {cpu: 5}, steps: [{run: x}]}}");
  ASSERT_TRUE(next(0));
  EXPECT_EQ(next(0)->priority, 7) << "of what fits on it";
  EXPECT_EQ(next(0)->share.running, 0U) << "a look takes nothing";
  const auto second = next(1);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->priority, 0);
  EXPECT_EQ(second->project, "default");
  EXPECT_EQ(second->share.running, 1U);
  EXPECT_FALSE(next(1)) << "what does not fit is not offered";
}

TEST_F(ShardsTest, WhatItsTasksOfOtherShardsTakeCounts) {
  const std::string id = four_cpus();
  start(kTwoCpus);
  start(kTwoCpus);
  const std::string other = "s1." + std::string(kId) + ".0.1";
  EXPECT_EQ(given(id, {takes(other, 2500)}), 0U);
  EXPECT_EQ(given(id, {takes(other, 2000)}), 1U);
  EXPECT_EQ(given(id, {takes(other, 2000)}), 0U) << "its own lease counts beside that";
  EXPECT_EQ(given(id, {}), 1U);
}

TEST_F(ShardsTest, ItsOwnTasksCountOnceAndNoLongerThanTheirLease) {
  const std::string id = four_cpus();
  start(kTwoCpus);
  start(kTwoCpus);
  start(kTwoCpus);
  const Task first = ask({id, 1, 0})->at(0);
  EXPECT_EQ(given(id, {takes(first.task_id, 2000)}), 1U);
  complete(id, first);
  // The poll was sent before the task ended.
  EXPECT_EQ(given(id, {takes(first.task_id, 2000)}), 1U);
}

TEST_F(ShardsTest, ATaskWithoutPrefixIsItsOwnWhileItHasTheLease) {
  const std::string id = four_cpus();
  start(kTwoCpus);
  start(kTwoCpus);
  const Task first = ask({id, 1, 0})->at(0);
  const std::string other = std::string(kId) + ".0.1";
  EXPECT_EQ(given(id, {takes(bare(first), 2000), takes(other, 2000)}), 0U);
  EXPECT_EQ(given(id, {takes(bare(first), 2000)}), 1U);
}

TEST_F(ShardsTest, WhoCompletesSaysWhatIsLeft) {
  const std::string id = four_cpus();
  start(kTwoCpus);
  start(kTwoCpus);
  const Task first = ask({id, 1, 0})->at(0);
  const auto complete_with = [&](std::vector<wire::TaskUse> holds, int max) {
    Reply<wire::CompleteReply> reply;
    core->complete({id, {{.task_id = first.task_id, .fence = first.fence}}, max, std::move(holds)},
                   now, reply.done());
    core->tick(now);
    flush();
    return (*reply).tasks.size();
  };
  EXPECT_EQ(complete_with({takes("s1.t", 3000)}, 1), 0U);
  // Who asks for nothing says nothing: a pod that reports its end knows only itself.
  EXPECT_EQ(complete_with({}, 0), 0U);
  EXPECT_EQ(given(id, {takes("s1.t", 3000)}), 0U);
  EXPECT_EQ(complete_with({}, 1), 1U);
}

TEST_F(ShardsTest, APollThatWaitsIsServedOnceTheWorkerHoldsLess) {
  const std::string id = four_cpus();
  start(kTwoCpus);
  Reply<std::vector<Task>> waiting;
  core->poll({id, 1, 30'000, {takes("s1.t", 4000)}}, now, waiting.done());
  core->tick(now);
  flush();
  ASSERT_FALSE(waiting.here());
  Reply<std::vector<Task>> second;
  core->poll({id, 1, 30'000, {takes("s1.t", 2000)}}, now, second.done());
  core->tick(now);
  flush();
  EXPECT_TRUE(waiting.here());
}

TEST_F(ShardsTest, WhoWaitsElsewhereCountsAsWaiting) {
  const wire::RegisterRequest first{.name = "w", .instance = "folder", .worker_id = kId};
  ASSERT_TRUE(enlist(first).ok());
  ASSERT_TRUE(ask({kId, 1, 0, {}, 30'000})->empty()) << "it is answered at once all the same";
  pass(Millis(20'000));
  EXPECT_EQ(state_of(kId), "idle");
  const wire::RegisterRequest other{.name = "w", .instance = "elsewhere"};
  EXPECT_EQ(enlist(other).error().code, Code::worker_name_taken);
  Reply<wire::HeartbeatReply> beaten;
  core->heartbeat({kId, {}}, now, beaten.done());
  EXPECT_EQ(enlist(other).error().code, Code::worker_name_taken) << "it waits beside its beats";
  pass(Millis(10'000));
  EXPECT_EQ(enlist(other).error().code, Code::unavailable) << "its time is over";
}

TEST_F(ShardsTest, WhoLeavesItsPlaceIsNoLongerWaiting) {
  ASSERT_TRUE(enlist({.name = "w", .instance = "folder", .worker_id = kId}).ok());
  start(kOne);
  ASSERT_TRUE(ask({kId, 0, 0, {}, 60'000})->empty()) << "asks for nothing";
  pass(Millis(20'000));
  ASSERT_TRUE(ask({kId, 0, 0, {}, 0})->empty());
  EXPECT_EQ(state_of(kId), "lost");
  EXPECT_TRUE(enlist({.name = "w", .instance = "elsewhere"}).ok());
}

TEST_F(ShardsTest, JobsThatNobodyTakesAreToldOnce) {
  EXPECT_FALSE(left());
  start(kOne);
  EXPECT_TRUE(core->take_left_ready());
  EXPECT_FALSE(left()) << "nothing changed";
  start(kOne);
  EXPECT_TRUE(core->take_left_ready());
  const std::string id = worker();
  EXPECT_EQ(poll(id, 1).size(), 1U);
  EXPECT_FALSE(left());
}

TEST_F(ShardsTest, AJobThatAWaitingPollTakesIsNotTold) {
  const std::string id = worker();
  Reply<std::vector<Task>> waiting;
  core->poll({id, 1, 30'000}, now, waiting.done());
  start(kOne);
  EXPECT_TRUE(waiting.here());
  EXPECT_FALSE(core->take_left_ready());
}

TEST_F(ShardsTest, JobsThatWereReadyBeforeAStartAreTold) {
  start(kOne);
  boot();
  EXPECT_TRUE(left());
}

TEST_F(ShardsTest, RoomThatIsFreeAgainIsTold) {
  const std::string id = four_cpus();
  start("jobs: {a: {resources: {cpu: 4}, steps: [{run: x}]}}");
  const Task big = ask({id, 1, 0})->at(0);
  start(kTwoCpus);
  EXPECT_EQ(given(id, {}), 0U);
  core->take_left_ready();
  EXPECT_FALSE(left());
  complete(id, big);
  EXPECT_TRUE(core->take_left_ready());
}

TEST_F(ShardsTest, JobsThatFitNobodyAreNotToldAgainAtEachChange) {
  const std::string id = four_cpus();
  start("jobs: {a: {runs_on: [mars], steps: [{run: x}]}}");
  EXPECT_TRUE(left());
  Reply<std::vector<Task>> waiting;
  core->poll({id, 1, 30'000}, now, waiting.done());
  start(kTwoCpus);
  ASSERT_TRUE(waiting.here());
  const Task task = (*waiting).at(0);
  EXPECT_FALSE(left()) << "the one that became ready was given";
  EXPECT_EQ(given(id, {takes("s1.t", 1000)}), 0U);
  EXPECT_FALSE(core->take_left_ready()) << "who has less room, or more, asks itself";
  complete(id, task);
  EXPECT_FALSE(left()) << "room that is of no use to them";
}

TEST_F(ShardsTest, AWorkerThatGoesOnIsTold) {
  const std::string id = worker();
  const auto set_draining = [&](bool drain) {
    Reply<std::string> reply;
    core->drain_worker(id, drain, now, reply.done());
  };
  set_draining(true);
  start(kOne);
  EXPECT_TRUE(left());
  set_draining(true);
  EXPECT_FALSE(left());
  set_draining(false);
  EXPECT_TRUE(left());
}

TEST_F(ShardsTest, WhoIsToStopTellsNothing) {
  const std::string id = worker();
  Reply<std::string> drained, resumed;
  core->drain_worker(id, true, now, drained.done());
  start(kOne);
  EXPECT_TRUE(left());
  core->drain();
  core->drain_worker(id, false, now, resumed.done());
  EXPECT_FALSE(left());
}

TEST_F(ShardsTest, TheEndAnswersWhatWaits) {
  const std::string id = worker();
  Reply<std::vector<Task>> waiting;
  core->poll({id, 1, 30'000, {}, 0}, now, waiting.done());
  const Uuid run = start("jobs: {a: {runs_on: [mars], steps: [{run: x}]}}");
  Reply<RunView> final;
  core->wait_run(kAda, run, now + Millis(60'000), final.done());
  flush();
  ASSERT_FALSE(waiting.here() || final.here());
  core->close();
  ASSERT_TRUE(waiting.here() && final.here());
  EXPECT_TRUE((*waiting).empty());
  EXPECT_EQ((*final).status, RunStatus::running);
}
}  // namespace
}  // namespace mc::conductor
