// What expressions give is judged when it is needed: a job that cannot use it fails and says why.
#include "engine/limits.h"
#include "engine/rig_test.h"

namespace mc::engine {
namespace {
// The message of job `b`, which begins when `plan` has given `v`.
std::string said_of(const std::string& job, Value v) {
  Rig rig(
      "jobs:\n  plan: {steps: [{id: s, run: x}], outputs: {v: \"${{ steps.s.outputs.v }}\"}}\n"
      "  b: {needs: plan, " +
      job + "}\n");
  rig.start();
  rig.succeed("plan", Object{{"v", std::move(v)}});
  return rig.status("b") + ": " + rig.job("b").message;
}

TEST(Given, WaitsWantTimes) {
  EXPECT_EQ(said_of("wait: {until: \"${{ needs.plan.outputs.v }}\"}", "tomorrow"),
            "failed: `until` is not an RFC 3339 time: tomorrow");
  EXPECT_EQ(said_of("wait: {duration: \"${{ needs.plan.outputs.v }}\"}", "soon"),
            "failed: not a duration: soon");
  EXPECT_EQ(said_of("wait: {until: \"${{ needs.plan.outputs.v }}\"}", "2000-01-01T00:00:00Z"),
            "waiting: ");
  EXPECT_EQ(said_of("wait: {duration: \"${{ from_json('x') }}\"}", "").rfind("failed: ", 0), 0U);
}

TEST(Given, AMatrixMayTurnOutEmpty) {
  EXPECT_EQ(said_of("matrix: \"${{ from_json(needs.plan.outputs.v) }}\", steps: [{run: x}]", "[]"),
            "skipped: its matrix has no cells");
  EXPECT_EQ(
      said_of("matrix: \"${{ from_json(needs.plan.outputs.v) }}\", steps: [{run: x}]", "5"),
      "failed: `matrix` must be an object of lists or a list of objects, and is of type number");
}

TEST(Given, AChildGetsItsInputsAsTheyTurnedOut) {
  Rig rig(
      "jobs:\n  plan: {steps: [{id: s, run: x}], outputs: {v: \"${{ "
      "steps.s.outputs.v }}\"}}\n"
      "  b:\n    needs: plan\n    workflow:\n      name: "
      "\"c-${{ needs.plan.outputs.v }}\"\n      inputs: {list: [1, \"${{ needs.plan.outputs.v "
      "}}\"], deep: {a: {b: \"x${{ needs.plan.outputs.v }}\"}}, n: 5}\n");
  rig.start();
  rig.succeed("plan", Object{{"v", "7"}});
  const auto* waiting = std::get_if<JobWaiting>(&rig.history().back().body);
  ASSERT_NE(waiting, nullptr);
  EXPECT_EQ(waiting->detail, "c-7");
  EXPECT_EQ(to_json(waiting->inputs), R"({"list":[1,"7"],"deep":{"a":{"b":"x7"}},"n":5})");
}

TEST(Given, AChildsInputsMayBeWrong) {
  for (const char* inputs : {"[\"${{ from_json('x') }}\"]", "{a: \"${{ from_json('x') }}\"}",
                             "\"${{ from_json('x') }}\""}) {
    const std::string said =
        said_of("workflow: {name: c, inputs: {i: " + std::string(inputs) + "}}", "");
    EXPECT_EQ(said.rfind("failed: ", 0), 0U) << said;
  }
  const std::string said = said_of("workflow: {name: \"${{ from_json('x') }}\"}", "");
  EXPECT_EQ(said.rfind("failed: ", 0), 0U) << said;
}

TEST(Given, ARunsOutputsMayBeWrong) {
  Rig rig("jobs: {a: {steps: [{run: x}]}}\noutputs: {o: \"${{ from_json('x') }}\"}\n");
  rig.start();
  rig.succeed("a");
  EXPECT_EQ(rig.run_status(), "failed");
  EXPECT_EQ(rig.run().message.rfind("output o: ", 0), 0U) << rig.run().message;
}

TEST(Given, AGroupThatCannotBeNamedRefusesTheRun) {
  Rig rig("concurrency: {group: \"${{ from_json('x') }}\"}\njobs: {a: {steps: [{run: x}]}}\n");
  RunQueued facts;
  const auto events = queue_run(rig.mutable_run(), std::move(facts), rig.ambient());
  ASSERT_FALSE(events.ok());
  EXPECT_EQ(events.error().code, Code::invalid_expression);
}

TEST(Given, OutputsAreBoundedTogether) {
  Rig rig("jobs: {plan: {steps: [{run: x}]}}\n");
  rig.start();
  rig.grant("plan");
  Object outputs;
  for (int i = 0; i < 17; ++i)
    outputs.emplace_back("o" + std::to_string(i), Value(std::string(64 << 10, 'x')));
  rig.complete("plan", rig.result("plan", Outcome::succeeded, std::move(outputs)));
  EXPECT_EQ(rig.status("plan"), "failed");
  EXPECT_NE(rig.job("plan").message.find("keep them as artifacts"), std::string::npos);
}

TEST(Signals, AreKeptUpToABoundAndNotAfterTheEnd) {
  Rig rig("jobs: {a: {steps: [{run: x}]}}\n");
  rig.start();
  for (std::size_t i = 0; i < kSignalsMax; ++i)
    rig.take(receive_signal(rig.mutable_run(), {.event = "s" + std::to_string(i)}, rig.ambient()));
  const auto more = receive_signal(rig.mutable_run(), {.event = "more"}, rig.ambient());
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, Code::limit_exceeded);
  rig.succeed("a");
  const auto late = receive_signal(rig.mutable_run(), {.event = "late"}, rig.ambient());
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, Code::run_final);
}
}  // namespace
}  // namespace mc::engine
