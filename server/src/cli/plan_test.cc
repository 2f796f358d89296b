#include "cli/plan.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "cli/exec.h"
#include "cli/narrow.h"
#include "cli/script_test.h"
#include "lang/parse.h"

namespace mc::cli {
namespace {

constexpr const char* kText = R"(name: ci
inputs:
  target: {type: string, default: dev, enum: [dev, prod]}
  shards: {type: integer, default: 2, min: 1, max: 4}
env: {A: b}
defaults: {retry: {attempts: 2}}
jobs:
  ship:
    needs: [test, gate]
    if: ${{ inputs.target == 'prod' }}
    steps: [{run: ./ship}]
  build:
    steps: [{id: v, run: make}]
    outputs: {v: "${{ steps.v.outputs.v }}"}
  test:
    needs: build
    matrix: {a: [x, y], b: [1]}
    steps: [{run: ./test}]
  gate: {needs: build, if: "${{ needs.build.outputs.v == 'x' }}", approve: {}}
finally: {report: {steps: [{run: ./report}]}}
outputs: {v: "${{ needs.build.outputs.v }}"}
)";

lang::Parsed parsed() {
  lang::Parsed parsed = lang::parse_workflow(kText, {});
  EXPECT_TRUE(parsed.ok()) << lang::render_problems("f", kText, parsed.errors, "error", false);
  return parsed;
}

const Value* job_of(const Value& plan, const std::string& key) {
  for (const Value& stage : plan.find("stages")->as_list())
    for (const Value& job : stage.find("jobs")->as_list())
      if (job.string_or("key", "") == key) return &job;
  return nullptr;
}

TEST(Plan, PutsJobsIntoStagesAndSaysWhatIsKnown) {
  const lang::Parsed definition = parsed();
  const Result<Value> inputs = lang::resolve_inputs(definition.spec.inputs, Value(Object{}));
  ASSERT_TRUE(inputs.ok());
  const Doors none;
  PlanCache cache(none, {}, definition.spec, *inputs, "/usr/bin:/bin");
  const Value plan = make_plan(definition.spec, *inputs, cache);
  EXPECT_EQ(plan.find("stages")->as_list().size(), 3U);
  EXPECT_EQ(job_of(plan, "ship")->string_or("decision", ""), "skip");
  EXPECT_EQ(job_of(plan, "build")->string_or("decision", ""), "run");
  EXPECT_EQ(job_of(plan, "gate")->string_or("decision", ""), "later");
  EXPECT_EQ(to_json(*job_of(plan, "test")->find("matrix")), R"(["a=x,b=1","a=y,b=1"])");
  const Value prod = make_plan(
      definition.spec,
      *lang::resolve_inputs(definition.spec.inputs, *parse_json(R"({"target":"prod"})")), cache);
  EXPECT_EQ(job_of(prod, "ship")->string_or("decision", ""), "run");
}

TEST(Narrowed, KeepsAJobWithWhatItNeeds) {
  const lang::Parsed definition = parsed();
  const Result<std::vector<std::string>> keys = job_with_needs(definition.spec, "test");
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(*keys, (std::vector<std::string>{"build", "test"}));
  const std::string text = narrowed(definition.spec, *keys);
  const lang::Parsed again = lang::parse_workflow(text, {});
  ASSERT_TRUE(again.ok()) << lang::render_problems("f", text, again.errors, "error", false);
  ASSERT_EQ(again.spec.jobs.size(), 2U);
  EXPECT_EQ(again.spec.name, "ci");
  EXPECT_EQ(again.spec.inputs.size(), 2U);
  EXPECT_EQ(again.spec.jobs[1].retry.attempts, 2);
  EXPECT_TRUE(again.spec.finally.empty());
  EXPECT_NE(job_with_needs(definition.spec, "tst").error().message.find("did you mean `test`"),
            std::string::npos);
}

TEST(Validate, ShowsEveryProblemAndExitsWithTwo) {
  test::Stage stage;
  stage.desk.input = "jobs:\n  a:\n    stepps: [{run: x}]\n  b: {needs: c, steps: [{run: x}]}\n";
  EXPECT_EQ(stage.run({"validate", "-"}), 2);
  EXPECT_NE(stage.desk.err.find("-:3:"), std::string::npos) << stage.desk.err;
  EXPECT_EQ(stage.run({"validate", "-", "-o", "json"}), 2);
  const Result<Value> answer = parse_json(stage.desk.out);
  ASSERT_TRUE(answer.ok()) << stage.desk.out;
  EXPECT_FALSE(answer->bool_or("valid", true));
  EXPECT_GE(answer->find("errors")->as_list().size(), 2U);
  stage.desk.out.clear();
  stage.desk.input = kText;
  EXPECT_EQ(stage.run({"validate", "-"}), 0);
  EXPECT_EQ(stage.desk.out, "-: valid\n");
}

}  // namespace
}  // namespace mc::cli
