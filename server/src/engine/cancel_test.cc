// What a cancel stops, what goes on after it, and for how long.
#include "engine/rig_test.h"

namespace mc::engine {
namespace {
TEST(Cancel, EndsWhatWaitsAtOnceAndWhatRunsByTheWorker) {
  Rig rig(kDiamond);
  rig.start();
  rig.succeed("a");
  rig.grant("b");
  rig.cancel();
  EXPECT_EQ(rig.run_status(), "cancelling");
  EXPECT_EQ(rig.status("c"), "cancelled");
  EXPECT_EQ(rig.status("b"), "cancelling");
  rig.complete("b", rig.result("b", Outcome::cancelled));
  EXPECT_EQ(rig.run_status(), "cancelled");
  EXPECT_EQ(cancel_run(rig.mutable_run(), {}, rig.ambient()).error().code, Code::run_final);
}

TEST(Cancel, IsBoundedEvenIfTheWorkerNeverAnswers) {
  Rig rig(kDiamond);
  rig.start();
  rig.grant("a");
  rig.cancel();
  for (int i = 0; i < 20 && !is_final(rig.run().status); ++i) rig.pass(Millis(60'000));
  EXPECT_EQ(rig.run_status(), "cancelled");
}

TEST(Cancel, RunsFinallyAndAlwaysBeforeTheEnd) {
  Rig rig(R"(
jobs:
  a: {steps: [{run: x}]}
  b: {needs: a, if: "${{ always() }}", steps: [{run: x}]}
finally: {clean: {steps: [{run: x}]}}
)");
  rig.start();
  rig.cancel();
  EXPECT_EQ(rig.ready(), Keys{"b"});
  rig.succeed("b");
  EXPECT_EQ(rig.ready(), Keys{"clean"});
  rig.succeed("clean");
  EXPECT_EQ(rig.run_status(), "cancelled");
}

TEST(Cancel, OfARunThatHasNotBegunStartsNothing) {
  Rig rig(
      "concurrency: {group: g}\njobs: {a: {steps: [{run: x}]}}\nfinally: {clean: {steps: [{run: "
      "x}]}}");
  RunQueued facts;
  facts.workflow = "x";
  rig.take(queue_run(rig.mutable_run(), facts, rig.ambient()));
  EXPECT_EQ(rig.run().facts.lock_group, "g");
  rig.take(hold_run(rig.mutable_run(), rig.ambient()));
  EXPECT_EQ(rig.run_status(), "waiting");
  rig.cancel();
  EXPECT_EQ(rig.ready(), Keys{}) << "others hold its lock";
  EXPECT_EQ(rig.run_status(), "cancelled");
}

TEST(Cancel, BoundsWhateverStillRunsOrStarts) {
  Rig rig(R"(
jobs: {a: {steps: [{run: x}]}}
on_failure: {tell: {steps: [{run: x}]}}
finally:
  ask: {approve: {expires: 7d}}
  heard: {wait: {event: e, timeout: 7d}}
  sleep: {wait: 1d}
  child: {workflow: {name: w}}
  lock: {concurrency: g, steps: [{run: x}]}
)");
  rig.start();
  rig.fail("a");
  rig.grant("tell");
  rig.cancel();
  EXPECT_EQ(rig.status("tell"), "running") << "what follows the graph goes on";
  rig.pass(std::chrono::minutes(6));
  EXPECT_EQ(rig.status("tell"), "cancelling") << "its worker stops it, and runs its own finally";
  rig.complete("tell", rig.result("tell", Outcome::cancelled));
  EXPECT_EQ(rig.status("tell"), "timed_out");
  EXPECT_EQ(rig.status("sleep"), "timed_out");
  rig.pass(std::chrono::minutes(10));
  for (const char* key : {"ask", "heard", "child", "lock"}) EXPECT_EQ(rig.status(key), "timed_out");
  EXPECT_EQ(rig.run_status(), "cancelled");
}

TEST(Cancel, GivesUpAWorkerThatDoesNotStopWhatFollowsTheGraph) {
  Rig rig("jobs: {a: {steps: [{run: x}]}}\nfinally: {clean: {steps: [{run: x}]}}");
  rig.start();
  rig.succeed("a");
  rig.grant("clean");
  rig.cancel();
  rig.pass(std::chrono::minutes(6));
  rig.pass(std::chrono::minutes(6));
  EXPECT_EQ(rig.status("clean"), "timed_out");
  EXPECT_EQ(rig.run_status(), "cancelled");
}

TEST(Cancel, EndsASleepThatFollowsTheGraph) {
  Rig rig("jobs: {a: {steps: [{run: x}]}}\nfinally: {sleep: {wait: 1d}}");
  rig.start();
  rig.succeed("a");
  rig.cancel();
  EXPECT_EQ(rig.status("sleep"), "cancelled");
  EXPECT_EQ(rig.run_status(), "cancelled");
}

TEST(Cancel, KeepsAlwaysJobsThatHaveNotBegun) {
  Rig rig(R"(
jobs:
  queued: {if: always(), steps: [{run: x}]}
  at_work: {if: always(), steps: [{run: x}]}
  cells: {if: always(), matrix: {n: [1, 2]}, max_parallel: 1, steps: [{run: x}]}
)");
  rig.start();
  rig.grant("at_work");
  rig.cancel();
  EXPECT_EQ(rig.status("at_work"), "cancelling");
  rig.complete("at_work", rig.result("at_work", Outcome::cancelled));
  EXPECT_EQ(rig.ready(), (Keys{"queued", "cells[n=1]"}));
  rig.succeed("queued");
  EXPECT_EQ(rig.status("cells[n=2]"), "cancelled") << "their number bounds nothing";
  rig.succeed("cells[n=1]");
  EXPECT_EQ(rig.run_status(), "cancelled");
}
}  // namespace
}  // namespace mc::engine
