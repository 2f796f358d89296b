#include "conductor/core_rig_test.h"
#include "wire/event_codec.h"

namespace mc::conductor {
namespace {

class CoreTest : public CoreRig {
 protected:
  CoreTest() { boot(); }
  // The worker "w".
  Result<wire::RegisterReply> enlist(const std::string& instance, const std::string& life) {
    Reply<wire::RegisterReply> reply;
    core->register_worker(kAda, {"w", {"linux"}, 1, "1", instance, life}, now, reply.done());
    flush();
    return *reply.value;
  }
};

constexpr const char* kOne = "jobs: {a: {steps: [{run: x}]}}";
constexpr const char* kChain = "jobs: {a: {steps: [{run: x}]}, b: {needs: a, steps: [{run: x}]}}";

TEST_F(CoreTest, NoReplyAndNoGrantBeforeTheCommit) {
  const std::string id = worker();
  Reply<RunView> started;
  core->start_run(request(kOne), now, started.done());
  EXPECT_FALSE(started.here());
  flush();
  ASSERT_TRUE(started.here());
  Reply<std::vector<Task>> polled;
  core->poll({id, 1, 0}, now, polled.done());
  EXPECT_FALSE(polled.here());
  flush();
  ASSERT_TRUE(polled.here());
  EXPECT_EQ((*polled).size(), 1U);
}

TEST_F(CoreTest, APollWhoseCallerHasHungUpIsGrantedNothing) {
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  Reply<std::vector<Task>> dead;
  core->poll({worker("w1"), 1, 30'000}, now, dead.done(), gone);
  EXPECT_FALSE(dead.here());
  gone->store(true);
  start(kOne);
  ASSERT_TRUE(dead.here()) << "it is let go";
  EXPECT_TRUE((*dead).empty());
  EXPECT_EQ(poll(worker("w2")).size(), 1U) << "another takes the job at once";
}

TEST_F(CoreTest, ANameIsOneWorkers) {
  start("jobs:\n  a:\n    retry: {attempts: 2, backoff: 10ms}\n    steps: [{run: 'true'}]\n");
  const std::string first = enlist("folder", "1")->worker_id;
  ASSERT_EQ(poll(first).size(), 1U);
  EXPECT_EQ(enlist("elsewhere", "1").error().code, Code::unavailable) << "it may be dead";
  Reply<std::vector<Task>> waiting;
  core->poll({first, 1, 1'000}, now, waiting.done());
  EXPECT_EQ(enlist("elsewhere", "1").error().code, Code::worker_name_taken);
  pass(Millis(1'000));
  const std::string again = enlist("folder", "1")->worker_id;
  EXPECT_TRUE(poll(again).empty()) << "the same life: its task goes on";
  const std::string next = enlist("folder", "2")->worker_id;
  pass(Millis(5'000));
  EXPECT_EQ(poll(next).size(), 1U) << "what the former life held is lost at once";
  pass(Millis(20'000));
  EXPECT_TRUE(enlist("elsewhere", "1").ok()) << "the one that had it was silent for long";
}

TEST_F(CoreTest, ALifeWhoseTasksOutliveItIsRefusedWhileAnotherWaits) {
  start(kOne);
  const std::string first = enlist("", "1")->worker_id;
  const auto tasks = poll(first);
  ASSERT_EQ(tasks.size(), 1U);
  pass(Millis(6'000));  // its coming was long ago
  Reply<wire::HeartbeatReply> alive;
  core->heartbeat({first, {{tasks[0].task_id, tasks[0].fence}}}, now, alive.done());
  Reply<std::vector<Task>> waiting;
  core->poll({first, 1, 1'000}, now, waiting.done());
  EXPECT_EQ(enlist("", "2").error().code, Code::worker_name_taken);
  EXPECT_TRUE(enlist("", "1").ok()) << "it is the same";
  EXPECT_TRUE(enlist("", "").ok()) << "a pod of it, which is no life of its own";
  pass(Millis(1'000));
  EXPECT_EQ(enlist("", "2").error().code, Code::worker_name_taken) << "it may ask again at once";
  pass(Millis(5'000));
  Reply<wire::HeartbeatReply> beat;
  core->heartbeat({first, {{tasks[0].task_id, tasks[0].fence}}}, now, beat.done());
  EXPECT_TRUE(enlist("", "2").ok()) << "its pod beats";
  EXPECT_EQ(complete(first, tasks[0]).accepted.size(), 1U) << "what it began is still heard";
}

TEST_F(CoreTest, WhoFollowsWhileACommitIsOnItsWayHearsOfIt) {
  const Uuid run = start(kOne);
  Reply<RunView> cancelled;
  core->cancel_run(kAda, run, "", now, cancelled.done());
  Commit commit = core->take_commit();
  std::vector<std::string> heard;
  core->subscribe(1, kAda, run, [&](const FeedEvent& event) {
    EXPECT_FALSE(cancelled.here()) << "followers hear before the reply";
    heard.emplace_back(event.json);
  });
  const Status durable = store.commit(commit.batch);
  core->finish_commit(std::move(commit), durable, now);
  ASSERT_FALSE(heard.empty());
  EXPECT_NE(heard.back().find("run.finished"), std::string::npos) << heard.back();
  EXPECT_TRUE(cancelled.here());
}

TEST_F(CoreTest, CompletionCarriesTheNextJob) {
  const Uuid run = start(kChain);
  const std::string id = worker();
  const auto tasks = poll(id);
  ASSERT_EQ(tasks.size(), 1U);
  const auto reply = complete(id, tasks[0], Outcome::succeeded, 1);
  EXPECT_EQ(reply.accepted.size(), 1U);
  ASSERT_EQ(reply.tasks.size(), 1U);
  EXPECT_EQ(reply.tasks[0].job, "b");
  complete(id, reply.tasks[0]);
  EXPECT_EQ(status(run), "succeeded");
  EXPECT_EQ(complete(id, tasks[0]).rejected.at(0).code, "fenced");
}

TEST_F(CoreTest, ALostCommitFailsItsRepliesAndMemoryGoesBackToTheStore) {
  const Uuid run = start(kOne);
  const std::string id = worker();
  Reply<std::vector<Task>> polled;
  core->poll({id, 1, 0}, now, polled.done());
  Commit commit = core->take_commit();
  core->finish_commit(std::move(commit), Error{Code::store_failed, "disk full", {}}, now);
  ASSERT_TRUE(polled.here());
  EXPECT_EQ(polled.code(), Code::store_failed);
  EXPECT_FALSE(core->health().ready);
  EXPECT_EQ(poll(id).size(), 1U) << "the job is ready again";
  EXPECT_TRUE(core->health().ready);
  EXPECT_EQ(show(run).find("jobs")->int_or("running", 0), 1);
}

TEST_F(CoreTest, ARestartGoesOnWhereTheStoreIs) {
  const Uuid run = start(kChain);
  std::string id = worker();
  const auto tasks = poll(id);
  boot();
  id = worker();
  EXPECT_TRUE(poll(id).empty()) << "granted before: its worker has a lease to show up in";
  complete(id, tasks.at(0));
  const auto next = poll(id);
  ASSERT_EQ(next.size(), 1U);
  complete(id, next[0]);
  EXPECT_EQ(status(run), "succeeded");
}

TEST_F(CoreTest, TheEmbeddedWorkersJobsAreLostWithTheProcess) {
  const Uuid run = start(kOne);
  ASSERT_EQ(poll(worker("embedded")).size(), 1U);
  boot();
  pass(Millis(1));
  const auto again = poll(worker("embedded"));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].attempt, 2);
  EXPECT_EQ(status(run), "running");
}

TEST_F(CoreTest, ALeaseLapsesWithoutHeartbeatsAndIsKeptByThem) {
  start("jobs: {a: {steps: [{run: x}], retry: {attempts: 2, backoff: 0s, jitter: 0}}}");
  const std::string id = worker();
  const auto tasks = poll(id);
  for (int i = 0; i < 5; ++i) {
    pass(Millis(10'000));
    Reply<wire::HeartbeatReply> beat;
    core->heartbeat({id, {{tasks.at(0).task_id, tasks[0].fence}}}, now, beat.done());
    ASSERT_TRUE((*beat).lost.empty());
  }
  pass(Millis(20'000));
  Reply<wire::HeartbeatReply> beat;
  core->heartbeat({id, {{tasks[0].task_id, tasks[0].fence}}}, now, beat.done());
  EXPECT_EQ((*beat).lost.size(), 1U);
  const auto again = poll(id);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_GT(again[0].fence, tasks[0].fence);
  EXPECT_EQ(complete(id, tasks[0]).rejected.at(0).code, "fenced");
}

TEST_F(CoreTest, IdempotencyKeysGiveTheFirstAnswer) {
  StartRun first = request(kOne);
  first.idempotency = Idempotency{"default/t1", "k1", "d1"};
  const Uuid run = start(first);
  Reply<RunView> same, other;
  core->start_run(first, now, same.done());
  ASSERT_TRUE(same.here());
  EXPECT_EQ((*same).id, run);
  EXPECT_TRUE((*same).existing);
  first.idempotency->request_digest = "d2";
  core->start_run(first, now, other.done());
  EXPECT_EQ(other.code(), Code::idempotency_key_reused);
}

TEST_F(CoreTest, ConcurrencyGroupsHoldTheOthersBackAcrossARestart) {
  const std::string text = "concurrency: {group: g, limit: 1}\njobs: {a: {steps: [{run: x}]}}";
  const Uuid first = start(text), second = start(text);
  EXPECT_EQ(status(second), "waiting");
  EXPECT_EQ(show(second).string_or("reason", ""), "lock");
  boot();
  EXPECT_EQ(status(second), "waiting");
  const std::string id = worker();
  complete(id, poll(id).at(0));
  EXPECT_EQ(status(first), "succeeded");
  EXPECT_EQ(status(second), "running");
}

TEST_F(CoreTest, ARunAndItsJobMayNameTheSameGroup) {
  const std::string id = worker();
  const Uuid run = start("concurrency: g\njobs: {a: {concurrency: g, steps: [{run: x}]}}");
  const auto tasks = poll(id);
  ASSERT_EQ(tasks.size(), 1U) << "it would wait for itself";
  complete(id, tasks[0]);
  EXPECT_EQ(status(run), "succeeded");
}

TEST_F(CoreTest, AChildThatTookTooLongIsCancelledBeforeTheNextTry) {
  put("slow", "jobs: {a: {steps: [{run: x}]}}");
  for (const char* backoff : {"1s", "0s"}) {
    const Uuid run = start(
        std::string(
            "jobs: {c: {workflow: {name: slow}, timeout: 1m, retry: {attempts: 2, backoff: ") +
        backoff + ", on: [timeout]}}}");
    core->tick(now);
    flush();
    EXPECT_EQ(core->health().open_runs, 2);
    pass(std::chrono::seconds(90));
    EXPECT_EQ(core->health().open_runs, 2) << "the second child, not the first";
    pass(std::chrono::minutes(2));
    EXPECT_EQ(core->health().open_runs, 0);
    EXPECT_EQ(status(run), "failed");
  }
}

TEST_F(CoreTest, AnIdempotencyKeyIsKeptAlsoWhenAnOpenRunIsGiven) {
  StartRun first = request(kOne);
  first.run_key = "k";
  const Uuid run = start(first);
  StartRun second = request(kOne);
  second.run_key = "k";
  second.on_conflict = OnConflict::use_existing;
  second.idempotency = Idempotency{"p/t", "key", "digest"};
  EXPECT_EQ(start(second), run);
  Reply<RunView> cancelled;
  core->cancel_run(kAda, run, "", now, cancelled.done());
  flush();
  Reply<RunView> again;
  core->start_run(second, now, again.done());
  flush();
  ASSERT_TRUE(again.here() && again.value->ok());
  EXPECT_EQ((*again).id, run) << "the first answer, although the run is over";
  EXPECT_EQ((*again).replayed, 200);
}

TEST_F(CoreTest, TwoAnswersUnderOneKeyFailNoCommit) {
  StartRun keyed = request(kOne);
  keyed.idempotency = Idempotency{"p/t", "key", "digest"};
  Reply<RunView> started;
  core->start_run(keyed, now, started.done());
  Reply<bool> put;
  core->put_records({}, db::Receipt{.scope = "p/t", .key = "key", .request_digest = "other"},
                    put.done());
  flush();
  EXPECT_TRUE(started.here() && started.value->ok());
  EXPECT_TRUE(put.here() && put.value->ok());
  Reply<bool> later;
  core->put_records({}, db::Receipt{.scope = "p/t", .key = "key", .request_digest = "other"},
                    later.done());
  flush();
  EXPECT_TRUE(later.here() && later.value->ok());
}

TEST_F(CoreTest, OverflowMayRejectOrCancel) {
  const auto text = [](const char* what) {
    return std::string("concurrency: {group: g, limit: 1, on_overflow: ") + what +
           "}\njobs: {a: {steps: [{run: x}]}}";
  };
  const Uuid first = start(text("reject"));
  Reply<RunView> refused;
  core->start_run(request(text("reject")), now, refused.done());
  EXPECT_EQ(refused.code(), Code::concurrency_rejected);
  EXPECT_EQ(refused.value->error().message,
            "the concurrency group g is full and rejects more runs");
  const Uuid second = start(text("queue"));
  const Uuid third = start(text("cancel_pending"));
  EXPECT_EQ(status(second), "cancelled");
  EXPECT_EQ(status(first), "running");
  const Uuid fourth = start(text("cancel_running"));
  EXPECT_EQ(status(first), "cancelled");
  EXPECT_EQ(status(third), "cancelled");
  EXPECT_EQ(status(fourth), "running");
}

TEST_F(CoreTest, ChildRunsStartOnceAndReportBack) {
  Reply<WorkflowVersion> put;
  core->put_workflow(
      kAda, "child",
      "jobs: {c: {steps: [{id: s, run: x}]}}\noutputs: {r: \"${{ needs.c.status }}\"}", now,
      put.done());
  flush();
  ASSERT_TRUE(put.here() && put.value->ok());
  const Uuid parent = start("jobs: {p: {workflow: {name: child}}}");
  boot();
  const std::string id = worker();
  const auto tasks = poll(id);
  ASSERT_EQ(tasks.size(), 1U) << "one child, also after a restart";
  complete(id, tasks[0]);
  EXPECT_EQ(status(parent), "succeeded");
  const Uuid lonely = start("jobs: {p: {workflow: {name: nobody}}}");
  EXPECT_EQ(status(lonely), "failed");
}

TEST_F(CoreTest, CancellingAParentCancelsItsChild) {
  Reply<WorkflowVersion> put;
  core->put_workflow(kAda, "child", kOne, now, put.done());
  flush();
  const Uuid parent = start("jobs: {p: {workflow: {name: child}}}");
  Reply<RunView> cancelled;
  core->cancel_run(kAda, parent, "", now, cancelled.done());
  core->tick(now);
  flush();
  EXPECT_EQ(status(parent), "cancelled");
  EXPECT_TRUE(poll(worker()).empty());
  EXPECT_EQ(core->health().open_runs, 0);
}

TEST_F(CoreTest, LabelsMustAllMatch) {
  start("jobs: {a: {runs_on: [linux, gpu], steps: [{run: x}]}}");
  EXPECT_TRUE(poll(worker("w1", {"linux"})).empty());
  EXPECT_EQ(poll(worker("w2", {"linux", "gpu", "big"})).size(), 1U);
}

TEST_F(CoreTest, APollWaitsForWork) {
  const std::string id = worker();
  Reply<std::vector<Task>> waiting, idle;
  core->poll({id, 1, 30'000}, now, waiting.done());
  core->poll({id, 1, 5'000}, now, idle.done());
  flush();
  EXPECT_FALSE(waiting.here());
  start(kOne);
  ASSERT_TRUE(waiting.here());
  EXPECT_EQ((*waiting).size(), 1U);
  pass(Millis(5'000));
  ASSERT_TRUE(idle.here());
  EXPECT_TRUE((*idle).empty());
}

TEST_F(CoreTest, ASilentWorkersPollDoesNotSwallowTheRetry) {
  start("jobs: {a: {steps: [{run: x}], retry: {attempts: 2, backoff: 0s, jitter: 0}}}");
  const std::string stopped = worker("stopped");
  ASSERT_EQ(poll(stopped).size(), 1U);
  Reply<std::vector<Task>> parked;
  core->poll({stopped, 3, 60'000}, now, parked.done());
  pass(Millis(15'000));
  ASSERT_TRUE(parked.here());
  EXPECT_TRUE((*parked).empty());
  const auto retried = poll(worker("other"));
  ASSERT_EQ(retried.size(), 1U);
  EXPECT_EQ(retried[0].attempt, 2);
}

TEST_F(CoreTest, WaitingForARunEndsWithItOrInTime) {
  const Uuid run = start(kOne);
  Reply<RunView> until_end, until_time;
  core->wait_run(kAda, run, now + Millis(60'000), until_end.done());
  core->wait_run(kAda, run, now + Millis(1'000), until_time.done());
  pass(Millis(1'000));
  ASSERT_TRUE(until_time.here());
  EXPECT_EQ((*until_time).status, RunStatus::running);
  const std::string id = worker();
  complete(id, poll(id).at(0));
  ASSERT_TRUE(until_end.here());
  EXPECT_EQ((*until_end).status, RunStatus::succeeded);
}

TEST_F(CoreTest, DeletingNeedsAnEndAndIsSeenEverywhere) {
  const Uuid run = start(kOne);
  Reply<bool> early, late;
  core->delete_run(kAda, run, now, early.done());
  EXPECT_EQ(early.code(), Code::run_not_final);
  const std::string id = worker();
  complete(id, poll(id).at(0));
  core->delete_run(kAda, run, now, late.done());
  flush();
  ASSERT_TRUE(late.here() && late.value->ok());
  Reply<RunView> gone;
  core->run(kAda, run, gone.done());
  EXPECT_EQ(gone.code(), Code::run_not_found);
  EXPECT_TRUE(store.list_runs({.project = "default"})->empty());
}

TEST_F(CoreTest, RerunKeepsWhatWentWell) {
  const Uuid run = start(kChain);
  const std::string id = worker();
  complete(id, poll(id).at(0));
  complete(id, poll(id).at(0), Outcome::failed);
  ASSERT_EQ(status(run), "failed");
  Rerun again{.principal = kAda, .run = run, .scope = Rerun::Scope::failed};
  Reply<RunView> reply;
  core->rerun(again, now, reply.done());
  flush();
  ASSERT_TRUE(reply.here() && reply.value->ok());
  const Value shown = show((*reply).id);
  EXPECT_EQ(shown.string_or("rerun_of", ""), to_string(run));
  EXPECT_EQ(shown.find("jobs")->int_or("reused", 0), 1);
  EXPECT_EQ(poll(id).at(0).job, "b");
}

TEST_F(CoreTest, SchedulesFireOnceEachAndCatchUpTheLast) {
  Reply<WorkflowVersion> put;
  core->put_workflow(
      kAda, "nightly",
      "on: {schedule: [{cron: \"*/10 * * * *\", overlap: queue_all}]}\n" + std::string(kOne), now,
      put.done());
  flush();
  const std::string id = worker();
  pass(Millis(600'000));
  EXPECT_EQ(store.list_runs({.project = "default"})->size(), 1U);
  complete(id, poll(id).at(0));
  now = now + Millis(3'600'000);
  boot();
  pass(Millis(0));
  EXPECT_EQ(store.list_runs({.project = "default"})->size(), 2U)
      << "six were missed, the last is made up for";
}

TEST_F(CoreTest, VariablesOfTheProjectAreTakenAsTheyAreAtTheStart) {
  Reply<bool> put;
  core->put_records({{"variable", "default/colour", R"({"value":"red"})", {}}}, {}, put.done());
  flush();
  const Uuid run = start("jobs: {a: {if: \"${{ vars.colour == 'red' }}\", steps: [{run: x}]}}");
  EXPECT_EQ(poll(worker()).size(), 1U);
  EXPECT_EQ(status(run), "running");
}

TEST_F(CoreTest, AnotherProjectSeesNothing) {
  const Uuid run = start(kOne);
  auth::Principal other = kAda;
  other.project = "secret";
  Reply<RunView> reply;
  core->run(other, run, reply.done());
  EXPECT_EQ(reply.code(), Code::run_not_found);
}

TEST_F(CoreTest, TheStoredHistoryIsTheWholeTruth) {
  const Uuid run = start(kChain);
  const std::string id = worker();
  complete(id, poll(id).at(0));
  complete(id, poll(id).at(0));
  const auto stored = store.load_run(run);
  std::vector<std::string> types;
  for (const auto& group : (*stored)->events) {
    const auto events = wire::decode_events(group.payload);
    for (const Event& event : *events) types.emplace_back(type_of(event));
  }
  EXPECT_EQ(types, (std::vector<std::string>{"run.queued", "run.started", "job.ready",
                                             "job.started", "job.finished", "job.ready",
                                             "job.started", "job.finished", "run.finished"}));
}
// What was accepted must be readable after a restart, however deep.
TEST_F(CoreTest, ADeepValueIsReadBack) {
  std::string deep(63, '[');
  deep += std::string(63, ']');
  StartRun asked = request(kOne);
  asked.event = *parse_json(deep);
  const Uuid run = start(std::move(asked));
  boot();
  EXPECT_EQ(status(run), "running");
}

TEST_F(CoreTest, AnEmptyConcurrencyGroupOfAJobIsNone) {
  const std::string text =
      "inputs: {g: {type: string, default: ''}}\n"
      "jobs: {a: {concurrency: \"${{ inputs.g }}\", steps: [{run: x}]}}";
  start(text);
  start(text);
  EXPECT_EQ(poll(worker()).size(), 2U);
}

}  // namespace
}  // namespace mc::conductor
