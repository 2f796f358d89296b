// What `why` says beside the reason: since when, who can lift it, and for how long it usually is.
#include "conductor/core_rig_test.h"

namespace mc::conductor {
namespace {
class Why : public CoreRig {
 protected:
  Why() {
    boot();
    w = worker("w1", 1);
  }

  std::string worker(const std::string& name, int slots) {
    Reply<wire::RegisterReply> reply;
    core->register_worker(kAda, {name, {}, slots, "1"}, now, reply.done());
    return (*reply).worker_id;
  }
  Value why(Uuid run, const std::string& job = "") {
    Reply<std::string> reply;
    core->why(kAda, run, job, now, reply.done());
    const Value* items = nullptr;
    answer = *parse_json(*reply);
    items = answer.find("items");
    return items->as_list().empty() ? Value() : items->as_list().front();
  }
  // "KIND NAME" of each, with commas between.
  static std::string lifted_by(const Value& item) {
    std::string text;
    for (const Value& lifter : item.find("lifted_by")->as_list())
      text += (text.empty() ? "" : ", ") + lifter.string_or("kind", "") + " " +
              lifter.string_or("name", "");
    return text;
  }
  // "MS/RUNS", or "none".
  static std::string estimate(const Value& item) {
    const Value& given = *item.find("estimate");
    if (given.is_null()) return "none";
    return std::to_string(given.int_or("remaining_ms", -1)) + "/" +
           std::to_string(given.int_or("runs", -1));
  }
  static Millis ago(const Value& item, Instant now) {
    return now - *parse_rfc3339(item.string_or("since", ""));
  }
  void go(std::int64_t ms) { now = now + Millis(ms); }
  // Runs `text` to its end, each of its jobs taking `ms`.
  Uuid live(const std::string& text, std::int64_t ms, Outcome outcome = Outcome::succeeded) {
    const Uuid run = start(text);
    for (auto tasks = poll(w); !tasks.empty(); tasks = poll(w)) {
      go(ms);
      for (const Task& task : tasks) complete(w, task, outcome);
    }
    return run;
  }
  // Begins the only ready job.
  Task begin() {
    const auto tasks = poll(w, 1);
    EXPECT_EQ(tasks.size(), 1U);
    return tasks.empty() ? Task{} : tasks.front();
  }

  std::string w;
  Value answer;
};

constexpr const char* kBuild = "name: build\njobs: {a: {steps: [{run: x}]}}";
constexpr const char* kDeploy =
    "name: deploy\nconcurrency: {group: prod}\njobs: {a: {steps: [{run: x}]}}";

TEST_F(Why, ASlotIsFreeWhenTheJobInItUsuallyEnds) {
  for (const std::int64_t ms : {30'000, 40'000, 90'000}) live(kBuild, ms);
  live(kBuild, 1, Outcome::failed);
  start(kBuild);
  const Task task = begin();
  go(5'000);
  const Uuid next = start(kBuild);
  const Uuid last = start(kBuild);
  go(5'000);
  const Value item = why(next);
  EXPECT_EQ(item.string_or("reason", ""), "capacity");
  EXPECT_EQ(ago(item, now), Millis(5'000));
  EXPECT_EQ(lifted_by(item), "worker w1");
  EXPECT_EQ(estimate(item), "30000/3") << "the failed one does not count";
  EXPECT_EQ(estimate(why(last)), "70000/3") << "one more is before it";
  for (int i = 0; i < 4; ++i) {
    go(10'000);
    Reply<wire::HeartbeatReply> alive;
    core->heartbeat({w, {{task.task_id, task.fence}}}, now, alive.done());
  }
  EXPECT_EQ(estimate(why(next)), "0/3") << "it is overdue";
}

TEST_F(Why, NothingIsSaidWithoutHistory) {
  start(kBuild);
  begin();
  const Uuid next = start(kBuild);
  EXPECT_EQ(estimate(why(next)), "none");
  live("jobs: {a: {steps: [{run: x}]}}", 10);
}

TEST_F(Why, WithoutAWorkerTimePassedBeforeSaysNothing) {
  live(kBuild, 1'000);
  const Uuid run = start("name: build\njobs: {a: {runs_on: [gpu], steps: [{run: x}]}}");
  const Value item = why(run);
  EXPECT_EQ(estimate(item), "none");
  EXPECT_EQ(lifted_by(item), "operator who starts a worker with [gpu]");
  EXPECT_EQ(item.find("lifted_by")->as_list().at(0).string_or("command", ""),
            "maestro worker --labels gpu");
}

TEST_F(Why, HistorySurvivesARestart) {
  for (int i = 0; i < 4; ++i) live(kBuild, 8'000);
  boot();
  w = worker("w1", 1);
  start(kBuild);
  begin();
  go(1'000);
  EXPECT_EQ(estimate(why(start(kBuild))), "7000/4");
}

TEST_F(Why, WhatEndsLaterIsAddedOnce) {
  live(kBuild, 8'000);
  const Uuid run = start(kBuild);
  EXPECT_EQ(estimate(why(run)), "none") << "a slot is free";
  const Task task = begin();
  EXPECT_EQ(estimate(why(run)), "8000/1") << "how long it still runs";
  EXPECT_EQ(lifted_by(why(run)), "worker w1");
  go(2'000);
  complete(w, task);
  const Uuid other = start(kBuild);
  begin();
  EXPECT_EQ(estimate(why(other)), "5000/2");
}

TEST_F(Why, ALockIsLiftedByWhoHoldsIt) {
  live(kDeploy, 60'000);
  const Uuid holder = start(kDeploy);
  begin();
  go(20'000);
  const Uuid next = start(kDeploy);
  const Uuid last = start(kDeploy);
  go(1'000);
  const Value item = why(next);
  EXPECT_EQ(ago(item, now), Millis(1'000));
  EXPECT_EQ(lifted_by(item), "run run #2");
  const Value& lifter = item.find("lifted_by")->as_list().at(0);
  EXPECT_EQ(lifter.string_or("run", ""), to_string(holder));
  EXPECT_EQ(lifter.string_or("command", ""), "maestro runs cancel " + to_string(holder));
  EXPECT_EQ(estimate(item), "39000/1");
  EXPECT_EQ(estimate(why(last)), "99000/1") << "the other waits longer and has it first";
  EXPECT_EQ(lifted_by(why(last, "a")), "run run #2") << "its jobs wait for the same";
}

TEST_F(Why, ALockOfAJobNamesTheJobThatHoldsIt) {
  constexpr const char* kText =
      "name: two\njobs: {a: {concurrency: {group: db}, steps: [{run: x}]}, "
      "b: {needs: a, steps: [{run: x}]}}";
  live(kText, 10'000);
  start(kText);
  begin();
  go(4'000);
  const Uuid next = start(kText);
  go(1'000);
  EXPECT_EQ(lifted_by(why(next)), "run run #2, job a");
  EXPECT_EQ(estimate(why(next)), "5000/1");
  EXPECT_EQ(ago(why(next), now), Millis(1'000));
  EXPECT_EQ(lifted_by(why(next, "b")), "job a");
  EXPECT_EQ(estimate(why(next, "b")), "15000/1") << "until a is over";
}

TEST_F(Why, AnApprovalNamesWhoMayStillDecide) {
  const Uuid anybody = start("jobs: {a: {approve: {}}}");
  EXPECT_EQ(lifted_by(why(anybody)), "approver role:operator, approver role:admin");
  EXPECT_EQ(why(anybody).find("lifted_by")->as_list().at(0).string_or("command", ""),
            "maestro approve " + to_string(anybody) + " a");
  const Uuid two =
      start("jobs: {a: {approve: {by: ['user:ada', 'user:eve', 'group:ops'], count: 2}}}");
  EXPECT_EQ(lifted_by(why(two)), "approver user:ada, approver user:eve, approver group:ops");
  Reply<std::string> vote;
  core->decide({.principal = kAda, .run = two, .job = "a", .approve = true}, now, vote.done());
  flush();
  ASSERT_TRUE(vote.value->ok()) << vote.value->error().message;
  EXPECT_EQ(lifted_by(why(two)), "approver user:eve, approver group:ops") << "ada has said yes";
  const Uuid others = start("jobs: {a: {approve: {by: ['user:ada', 'user:eve'], self: false}}}");
  EXPECT_EQ(lifted_by(why(others)), "approver user:eve") << "ada started it";
}

TEST_F(Why, AnApprovalUsuallyTakesAsLongAsItDid) {
  constexpr const char* kText = "name: ask\njobs: {a: {approve: {}}}";
  for (int i = 0; i < 2; ++i) {
    const Uuid run = start(kText);
    go(50'000);
    Reply<std::string> vote;
    core->decide({.principal = kAda, .run = run, .approve = true}, now, vote.done());
    flush();
  }
  const Uuid run = start(kText);
  go(10'000);
  EXPECT_EQ(estimate(why(run)), "40000/2");
}

TEST_F(Why, TheClockIsNoEstimate) {
  const Uuid run = start("name: later\njobs: {a: {wait: {duration: 1h}}}");
  const Value item = why(run);
  EXPECT_EQ(lifted_by(item), "time the clock");
  EXPECT_EQ(*parse_rfc3339(item.find("lifted_by")->as_list().at(0).string_or("at", "")),
            now + Millis(3'600'000));
  EXPECT_EQ(estimate(item), "none");
}

TEST_F(Why, EachWaitHasABeginningOfItsOwn) {
  const Uuid run = start(
      "jobs: {a: {retry: {attempts: 2, backoff: 1h, on: [any]}, steps: [{run: x}]}, "
      "b: {needs: a, steps: [{run: x}]}}");
  const Instant created = now;
  go(3'000);
  const Task task = begin();
  EXPECT_EQ(ago(why(run, "a"), now), Millis(0)) << "since it runs";
  go(2'000);
  complete(w, task, Outcome::failed);
  go(500);
  EXPECT_EQ(why(run, "a").string_or("reason", ""), "backoff");
  EXPECT_EQ(ago(why(run, "a"), now), Millis(500)) << "since the attempt ended";
  EXPECT_EQ(lifted_by(why(run, "a")), "time the clock");
  EXPECT_EQ(ago(why(run, "b"), now), now - created);
  EXPECT_EQ(lifted_by(why(run, "b")), "job a");
}

TEST_F(Why, ASignalAndAChildSayWhatEndsThem) {
  put("sub", "name: sub\njobs: {a: {steps: [{run: x}]}}");
  const Uuid run = start("jobs: {s: {wait: {event: go}}, c: {workflow: {name: sub}}}");
  EXPECT_EQ(lifted_by(why(run, "s")), "signal go");
  EXPECT_EQ(lifted_by(why(run, "c")), "run run #2");
}
}  // namespace
}  // namespace mc::conductor
