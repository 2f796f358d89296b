#include "engine/rerun.h"
#include "engine/rig_test.h"

namespace mc::engine {
namespace {
TEST(Run, JobsStartWhenAllTheirNeedsAreOver) {
  Rig rig(kDiamond);
  rig.start();
  EXPECT_EQ(rig.ready(), Keys{"a"});
  rig.succeed("a");
  EXPECT_EQ(rig.ready(), (Keys{"b", "c"}));
  rig.succeed("c");
  EXPECT_EQ(rig.ready(), Keys{"b"});
  rig.succeed("b");
  rig.succeed("d");
  EXPECT_EQ(rig.run_status(), "succeeded");
}

TEST(Run, AFailureSkipsWhatNeedsItAndLetsTheRestGoOn) {
  Rig rig(kDiamond);
  rig.start();
  rig.succeed("a");
  rig.fail("b");
  EXPECT_EQ(rig.status("d"), "pending");
  rig.succeed("c");
  EXPECT_EQ(rig.status("d"), "skipped");
  EXPECT_EQ(rig.run_status(), "failed");
  EXPECT_EQ(rig.run().failure_kind, FailureKind::user);
}

TEST(Run, ToleratedFailureIsAWarning) {
  Rig rig(
      "jobs:\n  a: {continue_on_error: true, steps: [{run: x}]}\n  b: {needs: a, steps: [{run: "
      "x}]}\n");
  rig.start();
  rig.fail("a");
  rig.succeed("b");
  EXPECT_EQ(rig.run_status(), "succeeded");
  EXPECT_EQ(rig.run().warnings, 1);
}

TEST(Run, ConditionsSeeStatusAndOutputs) {
  Rig rig(R"(
jobs:
  a: {steps: [{id: s, run: x}], outputs: {go: "${{ steps.s.outputs.go }}"}}
  yes: {needs: a, if: "${{ needs.a.outputs.go == 'yes' }}", steps: [{run: x}]}
  no: {needs: a, if: "${{ needs.a.outputs.go == 'no' }}", steps: [{run: x}]}
  after: {needs: [yes, no], if: "${{ always() }}", steps: [{run: x}]}
)");
  rig.start();
  rig.succeed("a", Object{{"go", "yes"}});
  EXPECT_EQ(rig.ready(), Keys{"yes"});
  EXPECT_EQ(rig.status("no"), "skipped");
  rig.fail("yes");
  EXPECT_EQ(rig.ready(), Keys{"after"});
  rig.succeed("after");
  EXPECT_EQ(rig.run_status(), "failed");
}

TEST(Run, FailureConditionRunsOnlyAfterAFailedAncestor) {
  Rig rig(R"(
jobs:
  a: {steps: [{run: x}]}
  b: {needs: a, steps: [{run: x}]}
  tell: {needs: b, if: "${{ failure() }}", steps: [{run: x}]}
)");
  rig.start();
  rig.fail("a");
  EXPECT_EQ(rig.status("b"), "skipped");
  EXPECT_EQ(rig.ready(), Keys{"tell"});
}

TEST(Complete, CountsOnceAndAnOldFenceIsRefused) {
  Rig rig("jobs: {a: {steps: [{run: x}], retry: {attempts: 2, backoff: 1s, on: [any]}}}");
  rig.start();
  rig.grant("a");
  const TaskResult first = rig.result("a", Outcome::failed);
  rig.complete("a", first);
  EXPECT_EQ(rig.status("a"), "retrying");
  const auto late = complete_job(rig.mutable_run(), 0, first, rig.ambient());
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, Code::fenced);
  rig.pass(Millis(2000));
  rig.grant("a");
  EXPECT_EQ(complete_job(rig.mutable_run(), 0, first, rig.ambient()).error().code, Code::fenced);
  rig.succeed("a");
  EXPECT_EQ(rig.run_status(), "succeeded");
  EXPECT_EQ(rig.job("a").detail->attempts.size(), 2U);
}

TEST(Complete, OutputsBeyondTheirLimitFailTheJobAndSaySo) {
  Rig rig("jobs: {a: {steps: [{run: x}]}}");
  rig.start();
  rig.succeed("a", Object{{"big", std::string(70'000, 'x')}});
  EXPECT_EQ(rig.status("a"), "failed");
  EXPECT_NE(rig.job("a").message.find("68.4 KiB"), std::string::npos) << rig.job("a").message;
  EXPECT_NE(rig.job("a").message.find("artifact"), std::string::npos);
}

TEST(Retry, OnlyTheNamedClassesAndExitCodes) {
  const auto after = [](const char* retry, FailureKind kind, int exit_code) {
    Rig rig(std::string("jobs: {a: {steps: [{run: x}], retry: ") + retry + "}}");
    rig.start();
    rig.grant("a");
    TaskResult result = rig.result("a", Outcome::failed);
    result.failure_kind = kind;
    result.exit_code = exit_code;
    rig.complete("a", result);
    return rig.status("a");
  };
  EXPECT_EQ(after("{attempts: 2}", FailureKind::user, 1), "failed");
  EXPECT_EQ(after("{attempts: 2}", FailureKind::infra, 1), "retrying");
  EXPECT_EQ(after("{attempts: 1}", FailureKind::infra, 1), "failed");
  EXPECT_EQ(after("{attempts: 2, exit_codes: [75]}", FailureKind::user, 75), "retrying");
  EXPECT_EQ(after("{attempts: 2, on: [any]}", FailureKind::user, 1), "retrying");
  EXPECT_EQ(after("{attempts: 2, on: [timeout]}", FailureKind::infra, 1), "failed");
}

TEST(Retry, BackoffGrowsToItsCap) {
  Rig rig(
      "jobs: {a: {steps: [{run: x}], retry: {attempts: 9, backoff: 2s, factor: 2, max: 10s, "
      "jitter: 0, on: [any]}}}");
  rig.start();
  for (const int wait : {2000, 4000, 8000, 10000, 10000}) {
    rig.fail("a");
    EXPECT_EQ((rig.job("a").due - rig.now()).count(), wait);
    rig.pass(Millis(wait));
    EXPECT_EQ(rig.status("a"), "ready");
  }
}

TEST(LostWorker, IsRetriedUnlessThePolicySaysNo) {
  Rig silent("jobs: {a: {steps: [{run: x}]}}");
  silent.start();
  silent.grant("a");
  silent.take(lose_worker(silent.mutable_run(), 0, 1, silent.ambient()));
  EXPECT_EQ(silent.status("a"), "retrying");
  EXPECT_EQ(silent.job("a").detail->attempts.at(0).failure_kind, FailureKind::lost_worker);

  Rig strict("jobs: {a: {steps: [{run: x}], retry: {attempts: 1}}}");
  strict.start();
  strict.grant("a");
  EXPECT_TRUE(lose_worker(strict.mutable_run(), 0, 99, strict.ambient()).empty())
      << "another fence";
  strict.take(lose_worker(strict.mutable_run(), 0, 1, strict.ambient()));
  EXPECT_EQ(strict.run_status(), "failed");
  EXPECT_EQ(strict.run().failure_kind, FailureKind::lost_worker);
}

TEST(Timers, QueueRunAndRunTimeouts) {
  Rig queued("jobs: {a: {timeout: {queue: 10m}, steps: [{run: x}]}}");
  queued.start();
  queued.pass(Millis(599'999));
  EXPECT_EQ(queued.status("a"), "ready");
  queued.pass(Millis(1));
  EXPECT_EQ(queued.status("a"), "timed_out");
  EXPECT_EQ(queued.run_status(), "failed");

  Rig whole("timeout: 1h\njobs: {a: {steps: [{run: x}]}}");
  whole.start();
  whole.grant("a");
  whole.pass(Millis(3'600'000));
  EXPECT_EQ(whole.status("a"), "cancelling");
  whole.complete("a", whole.result("a", Outcome::cancelled));
  EXPECT_EQ(whole.run_status(), "timed_out");
}

TEST(Child, IsGivenUpAfterTheJobsTimeoutAndTriedAgain) {
  Rig rig(R"(
jobs: {c: {workflow: {name: w}, timeout: 1m, retry: {attempts: 2, backoff: 1s, on: [timeout]}}}
)");
  rig.start();
  rig.pass(std::chrono::minutes(1));
  EXPECT_EQ(rig.status("c"), "retrying");
  rig.pass(std::chrono::seconds(5));
  EXPECT_EQ(rig.status("c"), "waiting");
  EXPECT_EQ(rig.job("c").attempt, 2);
  rig.pass(std::chrono::minutes(1));
  EXPECT_EQ(rig.status("c"), "timed_out");
  EXPECT_EQ(rig.run_status(), "failed");
}

TEST(Phases, OnFailureThenCompensationsInReverseThenFinally) {
  Rig rig(R"(
jobs:
  book: {steps: [{run: x}], compensate: [{run: undo}]}
  pay: {needs: book, steps: [{run: x}], compensate: [{run: undo}]}
  ship: {needs: pay, steps: [{run: x}]}
on_failure: {tell: {steps: [{run: x}]}}
finally: {report: {steps: [{run: x}]}}
)");
  rig.start();
  rig.succeed("book");
  rig.pass(Millis(10));
  rig.succeed("pay");
  rig.fail("ship");
  EXPECT_EQ(rig.ready(), Keys{"tell"});
  rig.succeed("tell");
  EXPECT_EQ(rig.ready(), Keys{"pay:compensate"});
  rig.succeed("pay:compensate");
  EXPECT_EQ(rig.ready(), Keys{"book:compensate"});
  rig.succeed("book:compensate");
  EXPECT_EQ(rig.ready(), Keys{"report"});
  rig.succeed("report");
  EXPECT_EQ(rig.run_status(), "failed");
}

TEST(Matrix, CellsRunUpToMaxParallelAndFailFastStopsTheRest) {
  Rig rig(R"(
jobs:
  t: {matrix: {n: [1, 2, 3, 4]}, max_parallel: 2, steps: [{run: x}]}
  after: {needs: t, steps: [{run: x}]}
)");
  rig.start();
  EXPECT_EQ(rig.ready(), (Keys{"t[n=1]", "t[n=2]"}));
  rig.succeed("t[n=1]", Object{{"v", "one"}});
  EXPECT_EQ(rig.ready(), (Keys{"t[n=2]", "t[n=3]"}));
  rig.grant("t[n=3]");
  rig.fail("t[n=2]");
  EXPECT_EQ(rig.status("t[n=3]"), "cancelling");
  EXPECT_EQ(rig.status("t[n=4]"), "cancelled");
  rig.complete("t[n=3]", rig.result("t[n=3]", Outcome::cancelled));
  EXPECT_EQ(rig.status("t"), "failed");
  EXPECT_EQ(rig.status("after"), "skipped");
  EXPECT_EQ(rig.run_status(), "failed");
}

TEST(Matrix, DynamicFromAnOutputAndOutputsMerge) {
  Rig rig(R"(
jobs:
  plan: {steps: [{id: s, run: x}], outputs: {list: "${{ steps.s.outputs.list }}"}}
  t:
    needs: plan
    matrix: {suite: "${{ from_json(needs.plan.outputs.list) }}"}
    fail_fast: false
    steps: [{run: x}]
)");
  rig.start();
  rig.succeed("plan", Object{{"list", R"(["unit","api"])"}});
  EXPECT_EQ(rig.ready(), (Keys{"t[suite=unit]", "t[suite=api]"}));
  rig.fail("t[suite=unit]");
  EXPECT_EQ(rig.ready(), Keys{"t[suite=api]"});
  rig.succeed("t[suite=api]", Object{{"n", "2"}});
  EXPECT_EQ(rig.status("t"), "failed");
  EXPECT_EQ(rig.job("t").outputs, Value(Object{{"n", "2"}}));
}

TEST(Matrix, ValuesThatCameFromAnOutputAreNoTemplates) {
  Rig rig(R"(
jobs:
  plan: {steps: [{id: s, run: x}], outputs: {list: "${{ steps.s.outputs.list }}"}}
  t: {needs: plan, matrix: "${{ from_json(needs.plan.outputs.list) }}", steps: [{run: x}]}
)");
  rig.start();
  rig.succeed("plan", Object{{"list", R"([{"v":"${{ run.actor }}"}])"}});
  EXPECT_EQ(to_json(rig.job("t[v=${{ run.actor }}]").matrix), R"({"v":"${{ run.actor }}"})");
}

TEST(Settings, ThatAreExpressionsHaveTheirValuesWhenTheJobsTurnComes) {
  Rig rig(R"(
inputs: {n: {type: integer, default: 2}, limit: {type: string, default: 5m}}
defaults: {retry: "${{ inputs.n }}"}
jobs:
  a: {steps: [{id: s, run: x}], outputs: {soft: "${{ steps.s.outputs.soft }}"}}
  t:
    needs: a
    matrix:
      n: [1, 2, 3]
      soft: [true]
      include: "${{ from_json('[{\"n\": 4, \"soft\": false}]') }}"
    max_parallel: "${{ inputs.n }}"
    fail_fast: "${{ needs.a.outputs.soft == 'never' }}"
    continue_on_error: "${{ matrix.soft }}"
    timeout: {queue: "${{ inputs.limit }}", run: "${{ matrix.n }}m"}
    resources: {cpu: "${{ matrix.n }}", memory: "${{ matrix.n }}GiB"}
    steps: [{run: x}]
)");
  rig.start(Object{{"n", 2}, {"limit", "5m"}});
  EXPECT_EQ(rig.job("a").spec->retry.attempts, 2);
  rig.succeed("a", Object{{"soft", "x"}});
  EXPECT_EQ(rig.ready(), (Keys{"t[n=1,soft=true]", "t[n=2,soft=true]"}));
  EXPECT_EQ(rig.job("t[n=2,soft=true]").spec->timeout_run, std::chrono::minutes(2));
  EXPECT_EQ(rig.job("t[n=2,soft=true]").due, rig.now() + std::chrono::minutes(5));
  EXPECT_EQ(to_text(rig.job("t[n=2,soft=true]").spec->resources), "2 CPUs and 2.0 GiB");
  EXPECT_NE(rig.job("t[n=2,soft=true]").spec->source_json.find("\"2m\""), std::string::npos);
  rig.fail("t[n=1,soft=true]");
  EXPECT_TRUE(rig.job("t[n=1,soft=true]").tolerated);
  rig.succeed("t[n=2,soft=true]");
  rig.succeed("t[n=3,soft=true]");
  rig.fail("t[n=4,soft=false]");
  EXPECT_FALSE(rig.job("t[n=4,soft=false]").tolerated);
  EXPECT_EQ(rig.run_status(), "failed");
}

TEST(Settings, ThatCannotBeFailTheJobAndSayWhy) {
  Rig rig(R"(
inputs: {n: {type: integer, default: 0}, limit: {type: string, default: soon}}
jobs:
  a: {timeout: "${{ inputs.limit }}", steps: [{run: x}]}
  b: {retry: {attempts: "${{ inputs.n }}"}, steps: [{run: x}]}
  c: {continue_on_error: "${{ from_json(inputs.limit) }}", steps: [{run: x}]}
  d: {approve: {count: "${{ inputs.n }}"}}
)");
  rig.start(Object{{"n", 0}, {"limit", "soon"}});
  for (const char* key : {"a", "b", "c", "d"}) EXPECT_EQ(rig.status(key), "failed") << key;
  Rig template_again(
      "inputs: {limit: {}}\njobs: {a: {timeout: \"${{ inputs.limit }}\", steps: [{run: x}]}}");
  template_again.start(Object{{"limit", "${{ '1m' }}"}});
  EXPECT_EQ(template_again.status("a"), "failed") << "a value is no template";
  EXPECT_NE(rig.job("a").message.find("`soon`"), std::string::npos) << rig.job("a").message;
  EXPECT_NE(rig.job("c").message.find("`continue_on_error`"), std::string::npos);
}

TEST(Settings, OfCellsAreRefusedWhenTheyWouldTakeTooMuchMemory) {
  const auto status_with = [](const std::string& timeout) {
    Rig rig(
        "inputs: {list: {type: list}}\njobs: {t: {matrix: {n: \"${{ inputs.list }}\"}, timeout: " +
        timeout + ", steps: [{run: " + std::string(900'000, 'x') + "}]}}");
    List minutes;
    for (int i = 1; i <= 20; ++i) minutes.emplace_back(std::to_string(i) + "m");
    rig.start(Object{{"list", std::move(minutes)}});
    return rig.status("t");
  };
  EXPECT_EQ(status_with("1m"), "running");
  EXPECT_EQ(status_with("\"${{ matrix.n }}\""), "failed");
}

TEST(Timers, ATimeoutIsThePatienceOfApprovalsAndSignals) {
  Rig rig(R"(
jobs:
  ask: {timeout: 1m, approve: {}}
  hear: {timeout: 1m, wait: {event: e}}
  own: {timeout: 1m, approve: {expires: 2m}}
)");
  rig.start();
  rig.pass(std::chrono::minutes(1));
  EXPECT_EQ(rig.status("ask"), "timed_out");
  EXPECT_EQ(rig.status("hear"), "timed_out");
  EXPECT_EQ(rig.status("own"), "waiting");
}

TEST(Approval, OfARunOnOnesOwnMachineNeedsOnePerson) {
  Rig rig("jobs: {gate: {approve: {by: [\"group:release\"], count: 2, self: false}}}");
  rig.start();
  rig.take(decide_approval(rig.mutable_run(), rig.node("gate"),
                           {.voter = {"ada", "admin", {}}, .approve = true, .alone = true},
                           rig.ambient()));
  EXPECT_EQ(rig.status("gate"), "succeeded");
}

TEST(Approval, TakesDistinctEntitledPeople) {
  Rig rig(
      "jobs: {gate: {approve: {by: [\"user:bob\", \"group:release\"], count: 2, self: false}}}");
  rig.start();
  RunState& run = rig.mutable_run();
  const auto vote = [&](Voter voter, bool approve) {
    return decide_approval(run, 0, {std::move(voter), approve, ""}, rig.ambient());
  };
  EXPECT_EQ(vote({"ada", "admin", {"release"}}, true).error().code, Code::not_an_approver)
      << "self";
  EXPECT_EQ(vote({"eve", "operator", {}}, true).error().code, Code::not_an_approver);
  rig.take(vote({"bob", "operator", {}}, true));
  EXPECT_EQ(vote({"bob", "operator", {}}, true).error().code, Code::already_decided);
  EXPECT_EQ(rig.status("gate"), "waiting");
  rig.take(vote({"cy", "operator", {"release"}}, true));
  EXPECT_EQ(rig.run_status(), "succeeded");
  EXPECT_EQ(vote({"dan", "operator", {"release"}}, true).error().code, Code::already_decided);
}

TEST(Approval, RejectionDeniesTheRunAndExpiryTimesItOut) {
  Rig rejected("jobs: {gate: {approve: {}}, next: {needs: gate, steps: [{run: x}]}}");
  rejected.start();
  rejected.take(decide_approval(rejected.mutable_run(), 0, {{"bob", "operator", {}}, false, "no"},
                                rejected.ambient()));
  EXPECT_EQ(rejected.run_status(), "denied");
  EXPECT_EQ(rejected.status("next"), "skipped");

  Rig expired("jobs: {gate: {approve: {expires: 1h}}}");
  expired.start();
  expired.pass(Millis(3'600'000));
  EXPECT_EQ(expired.status("gate"), "timed_out");
  EXPECT_EQ(expired.run_status(), "failed");
}

TEST(Wait, ForTimeAndForASignalThatMayComeFirst) {
  Rig timer("jobs: {w: {wait: 10m}}");
  timer.start();
  timer.pass(Millis(600'000));
  EXPECT_EQ(timer.run_status(), "succeeded");

  Rig early("jobs: {a: {steps: [{run: x}]}, w: {needs: a, wait: {event: paid, timeout: 1h}}}");
  early.start();
  early.take(receive_signal(early.mutable_run(), {"paid", Value(Object{{"sum", 3}}), "bob"},
                            early.ambient()));
  early.succeed("a");
  EXPECT_EQ(early.run_status(), "succeeded");
  EXPECT_EQ(to_json(early.job("w").outputs), R"({"data":{"sum":3}})");

  Rig late("jobs: {w: {wait: {event: paid, timeout: 1h}}}");
  late.start();
  late.pass(Millis(3'600'000));
  EXPECT_EQ(late.status("w"), "timed_out");
}

TEST(Child, ARefusalIsNeitherToleratedNorTriedAgain) {
  Rig rig(
      "jobs:\n  c: {workflow: {name: ship}, continue_on_error: true, retry: {attempts: 3, on: "
      "[any]}}\n  after: {needs: c, steps: [{run: x}]}\n");
  rig.start();
  rig.take(finish_child(rig.mutable_run(), 0, {.attempt = 1, .status = RunStatus::denied},
                        rig.ambient()));
  EXPECT_EQ(rig.status("c"), "denied");
  EXPECT_EQ(rig.status("after"), "skipped");
  EXPECT_EQ(rig.run_status(), "denied");
}

TEST(Child, ItsEndIsTheJobsEnd) {
  Rig rig("jobs: {c: {workflow: {name: other, inputs: {v: \"${{ run.actor }}\"}}}}");
  rig.start();
  EXPECT_EQ(rig.job("c").wait_detail, "other");
  EXPECT_EQ(to_json(rig.job("c").detail->child_inputs), R"({"v":"ada"})");
  EXPECT_TRUE(finish_child(rig.mutable_run(), 0, {.attempt = 9, .status = RunStatus::succeeded},
                           rig.ambient())
                  .empty());
  rig.take(finish_child(
      rig.mutable_run(), 0,
      {.attempt = 1, .status = RunStatus::succeeded, .outputs = Value(Object{{"x", "1"}})},
      rig.ambient()));
  EXPECT_EQ(rig.run_status(), "succeeded");
  EXPECT_EQ(to_json(rig.job("c").outputs), R"({"x":"1"})");
}

TEST(Outputs, OfTheRunAreEvaluatedAtTheEnd) {
  Rig rig(R"(
jobs: {a: {steps: [{id: s, run: x}], outputs: {v: "${{ steps.s.outputs.v }}"}}}
outputs: {version: "v${{ needs.a.outputs.v }}"}
)");
  rig.start();
  rig.succeed("a", Object{{"v", "1.2"}});
  EXPECT_EQ(to_json(rig.run().outputs), R"({"version":"v1.2"})");
}

constexpr ArtifactLife kLife{.now = Instant{}, .keep = Millis(1)};

TEST(Rerun, FromAJobKeepsWhatIsBeforeAndBeside) {
  Rig old(kDiamond);
  old.start();
  old.succeed("a", Object{{"k", "1"}});
  old.succeed("b");
  old.succeed("c");
  old.fail("d");
  const auto plan = plan_rerun(old.run(), RerunScope::from, "b", kLife);
  ASSERT_TRUE(plan.ok());
  ASSERT_EQ(plan->kept.size(), 2U);
  Rig again(kDiamond);
  again.start(Object{}, plan->kept);
  EXPECT_EQ(again.status("a"), "reused");
  EXPECT_EQ(again.status("c"), "reused");
  EXPECT_EQ(again.ready(), Keys{"b"});
  EXPECT_EQ(plan_rerun(old.run(), RerunScope::from, "bb", kLife).error().code, Code::job_not_found);
  EXPECT_EQ(plan_rerun(old.run(), RerunScope::failed, "", kLife)->kept.size(), 3U);
  EXPECT_TRUE(plan_rerun(old.run(), RerunScope::all, "", kLife)->kept.empty());
}

TEST(Rerun, NamesExternalEffectsThatWouldRepeat) {
  Rig old("jobs: {a: {effects: external, steps: [{run: x}]}, b: {needs: a, steps: [{run: x}]}}");
  old.start();
  old.succeed("a");
  old.fail("b");
  EXPECT_TRUE(plan_rerun(old.run(), RerunScope::failed, "", kLife)->repeats.empty());
  EXPECT_EQ(plan_rerun(old.run(), RerunScope::all, "", kLife)->repeats, Keys{"a"});
  Rig again("jobs: {a: {effects: external, steps: [{run: x}]}, b: {needs: a, steps: [{run: x}]}}");
  again.start(Object{}, plan_rerun(old.run(), RerunScope::failed, "", kLife)->kept);
  again.fail("b");
  EXPECT_EQ(plan_rerun(again.run(), RerunScope::all, "", kLife)->repeats, Keys{"a"})
      << "done before it";
}
}  // namespace
}  // namespace mc::engine
