// The conductor beside a store that fails, and rules that the simulator found broken: each test is
// the shortest story of one of its seeds.
#include "conductor/core_rig_test.h"

namespace mc::conductor {
namespace {

class TroubledStoreTest : public CoreRig {
 protected:
  TroubledStoreTest() { boot(); }

  void cancel(Uuid run) {
    Reply<RunView> reply;
    core->cancel_run(kAda, run, "", now, reply.done());
    core->tick(now);
    flush();
    ASSERT_TRUE(reply.value->ok());
  }
};

constexpr const char* kOne = "jobs: {a: {steps: [{run: x}]}}";
constexpr const char* kTwo = "jobs: {b: {steps: [{run: x}]}}";
constexpr const char* kLocked = "concurrency: {group: g}\njobs: {a: {steps: [{run: x}]}}";

TEST_F(TroubledStoreTest, TwoVersionsOfAWorkflowMayBeOnTheirWayAtOnce) {
  Reply<WorkflowVersion> first;
  Reply<WorkflowVersion> second;
  Reply<WorkflowVersion> third;
  core->put_workflow(kAda, "w", kOne, now, first.done());
  Commit commit = core->take_commit();
  core->put_workflow(kAda, "w", kTwo, now, second.done());
  core->put_workflow(kAda, "w", kOne, now, third.done());
  core->finish_commit(std::move(commit), store.commit(commit.batch), now);
  flush();
  EXPECT_EQ((*first).version, 1);
  EXPECT_EQ((*second).version, 2);
  EXPECT_EQ((*third).version, 3);
  EXPECT_TRUE(*disk->get_record("workflow_version", "default/w/0000000002"));
}

TEST_F(TroubledStoreTest, FollowersHearOfACommitThatWasWrittenAndSaidToHaveFailed) {
  const Uuid run = start(kOne);
  std::vector<std::int64_t> heard;
  core->subscribe(1, kAda, run, [&](const FeedEvent& event) { heard.push_back(event.event.seq); });
  Reply<RunView> cancelled;
  core->cancel_run(kAda, run, "", now, cancelled.done());
  store.arm(1, db::Fault::lose_answer);
  flush();
  EXPECT_FALSE(cancelled.value->ok());
  EXPECT_EQ(status(run), "cancelled");
  EXPECT_EQ(heard, (std::vector<std::int64_t>{4, 5, 6}));
}

// A replica that leads no longer, and does not know it yet.
TEST_F(TroubledStoreTest, FollowersHearWhatAnotherReplicaWroteInstead) {
  const Uuid run = start(kOne);
  std::vector<std::string> heard;
  core->subscribe(1, kAda, run,
                  [&](const FeedEvent& event) { heard.emplace_back(type_of(event.event)); });
  Reply<RunView> cancelled;
  core->cancel_run(kAda, run, "", now, cancelled.done());
  Commit commit = core->take_commit();
  Options options;
  options.seed = 9;
  Core other(store, std::move(options));
  ASSERT_TRUE(other.recover(now));
  Reply<RunView> signalled;
  other.signal(kAda, run, "go", Value("x"), now, signalled.done());
  ASSERT_TRUE(store.commit(other.take_commit().batch));
  const Status refused = store.commit(commit.batch);
  ASSERT_FALSE(refused);
  core->finish_commit(std::move(commit), refused, now);
  EXPECT_EQ(heard, (std::vector<std::string>{"signal.received"}));
}

TEST_F(TroubledStoreTest, AJobWhoseGrantFailedGoesToAnotherWhoWaits) {
  Reply<std::vector<Task>> first, second;
  core->poll({worker("w1"), 1, 60'000}, now, first.done());
  core->poll({worker("w2"), 1, 60'000}, now, second.done());
  Reply<RunView> started;
  core->start_run(request(kOne), now, started.done());
  flush();
  store.arm(1, db::Fault::refuse_commit);
  core->tick(now);
  flush();
  ASSERT_TRUE(first.here());
  EXPECT_FALSE(first.value->ok());
  core->tick(now);
  flush();
  ASSERT_TRUE(second.here());
  EXPECT_EQ((*second).size(), 1U);
}

TEST_F(TroubledStoreTest, NobodyIsAnsweredFromMemoryThatCouldNotBeReadBack) {
  const Uuid run = start(kOne);
  Reply<RunView> cancelled;
  core->cancel_run(kAda, run, "", now, cancelled.done());
  store.arm(1, db::Fault::refuse_commit);
  store.arm(1, db::Fault::fail_read);
  Commit commit = core->take_commit();
  core->finish_commit(std::move(commit), store.commit(commit.batch), now);
  EXPECT_FALSE(core->usable());
  EXPECT_FALSE(core->health().ready);
  EXPECT_GT(core->next_wake(), now);
  pass(Millis(2'000));
  EXPECT_TRUE(core->usable());
  EXPECT_EQ(status(run), "running");
}

TEST_F(TroubledStoreTest, ARestartGivesNoLockAwayThatALaterRunHolds) {
  constexpr const char* kJob = "concurrency: {group: g}, steps: [{run: x}]}}";
  const Uuid early = start(std::string("jobs: {w: {wait: 1s}, a: {needs: w, ") + kJob);
  const Uuid late = start(std::string("jobs: {a: {") + kJob);
  pass(Millis(1'000));
  EXPECT_EQ(status(early), "waiting");
  boot();
  EXPECT_EQ(status(early), "waiting");
  EXPECT_EQ(status(late), "running");
}

TEST_F(TroubledStoreTest, ARunCancelledBeforeItBeganStartsNothing) {
  start(kLocked);
  const Uuid second = start(std::string(kLocked) + "\nfinally: {f: {steps: [{run: x}]}}");
  EXPECT_EQ(status(second), "waiting");
  cancel(second);
  EXPECT_EQ(status(second), "cancelled");
}

TEST_F(TroubledStoreTest, AChildThatWouldWaitForItsOwnParentIsRefused) {
  put("child", kLocked);
  const Uuid parent = start("concurrency: {group: g}\njobs: {c: {workflow: {name: child}}}");
  EXPECT_EQ(status(parent), "failed");
  EXPECT_NE(show(parent).string_or("message", "").find("wait for ever"), std::string::npos);
}

TEST_F(TroubledStoreTest, AChildThatWouldCloseACircleOfLocksIsRefused) {
  // Each parent holds a group and its child wants the other's; the first child waits rightly.
  put("g-child", "concurrency: {group: g}\njobs: {a: {steps: [{run: x}]}}");
  put("h-child", "concurrency: {group: h}\njobs: {a: {steps: [{run: x}]}}");
  constexpr const char* kParent =
      "inputs: {own: {type: string}, other: {type: string}}\n"
      "concurrency: {group: \"${{ inputs.own }}\"}\n"
      "jobs: {w: {wait: 1s}, c: {needs: w, workflow: {name: \"${{ inputs.other }}-child\"}}}";
  const Uuid g = start(kParent, Object{{"own", "g"}, {"other", "h"}});
  const Uuid h = start(kParent, Object{{"own", "h"}, {"other", "g"}});
  pass(Millis(1'000));
  EXPECT_EQ(status(g), "waiting");
  EXPECT_EQ(status(h), "failed");
}

TEST_F(TroubledStoreTest, ARerunOfANewerDefinitionForgetsTheOlderOnesGroup) {
  put("w", kLocked);
  StartRun request;
  request.principal = kAda;
  request.workflow = "w";
  Reply<RunView> started;
  core->start_run(request, now, started.done());
  flush();
  cancel((*started).id);
  put("w", kOne);
  Reply<RunView> again;
  core->rerun({.principal = kAda, .run = (*started).id, .from = {}, .latest_definition = true}, now,
              again.done());
  flush();
  ASSERT_TRUE(again.value->ok()) << again.value->error().message;
  boot();
  EXPECT_EQ(status((*again).id), "running");
}

TEST_F(TroubledStoreTest, AChildWhoseStoreFailsIsStartedALittleLater) {
  put("child", kOne);
  StartRun request;
  request.principal = kAda;
  request.definition = "jobs: {w: {wait: 1s}, c: {needs: w, workflow: {name: child}}}";
  Reply<RunView> parent;
  core->start_run(request, now, parent.done());
  flush();
  store.arm(1, db::Fault::fail_read);
  pass(Millis(1'000));
  EXPECT_EQ(core->health().open_runs, 1);
  pass(Millis(1'500));
  EXPECT_EQ(core->health().open_runs, 2);
}

}  // namespace
}  // namespace mc::conductor
