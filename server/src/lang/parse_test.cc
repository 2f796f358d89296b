#include "lang/parse.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/sha256.h"
#include "lang/project_files_test.h"

namespace mc::lang {
namespace {

std::string told(const Parsed& parsed, std::string_view text) {
  return render_problems("t.yaml", text, parsed.errors, "error", false) +
         render_problems("t.yaml", text, parsed.warnings, "warning", false);
}

WorkflowSpec good(std::string_view text) {
  Parsed parsed = parse_workflow(text);
  EXPECT_TRUE(parsed.ok()) << told(parsed, text);
  return std::move(parsed.spec);
}

JobSpec job_of(const std::string& body) {
  WorkflowSpec spec = good("jobs:\n  j:\n    " + body + "\n");
  return spec.jobs.empty() ? JobSpec{} : std::move(spec.jobs[0]);
}

std::string everything() { return project_file("server/src/lang/testdata/everything.yaml"); }

const JobSpec& find(const WorkflowSpec& spec, std::string_view key) {
  for (const JobSpec& job : spec.jobs) {
    if (job.key == key) return job;
  }
  static const JobSpec kNone;
  ADD_FAILURE() << "no job " << key;
  return kNone;
}

TEST(Parse, EverythingOnceIsGood) {
  const std::string text = everything();
  const Parsed parsed = parse_workflow(text);
  EXPECT_TRUE(parsed.ok()) << told(parsed, text);
  EXPECT_TRUE(parsed.warnings.empty()) << told(parsed, text);
  EXPECT_EQ(parsed.spec.digest, "sha256:" + sha256_hex(text));
  EXPECT_EQ(parsed.spec.text, text);
}

TEST(Parse, ReadsTheWorkflowsOwnKeys) {
  const WorkflowSpec spec = good(everything());
  EXPECT_EQ(spec.name, "ci");
  EXPECT_EQ(spec.description, "Build, test and ship the API");
  ASSERT_TRUE(spec.on.push && spec.on.pull_request);
  EXPECT_EQ(spec.on.push->branches, (std::vector<std::string>{"main", "release/*"}));
  EXPECT_EQ(spec.on.push->paths_ignore, (std::vector<std::string>{"docs/**"}));
  EXPECT_TRUE(spec.on.webhook);
  ASSERT_EQ(spec.on.schedules.size(), 1U);
  const ScheduleSpec& schedule = spec.on.schedules[0];
  EXPECT_EQ(schedule.cron, "0 2 * * 1-5");
  EXPECT_EQ(schedule.timezone, "Europe/Berlin");
  EXPECT_EQ(schedule.catch_up_window, std::chrono::hours(2));
  EXPECT_EQ(schedule.jitter, std::chrono::minutes(5));
  EXPECT_EQ(to_json(schedule.inputs), R"({"target":"build"})");
  ASSERT_EQ(spec.inputs.size(), 4U);
  EXPECT_EQ(spec.inputs[0].choices.size(), 2U);
  EXPECT_EQ(spec.inputs[1].type, InputType::integer);
  EXPECT_EQ(spec.inputs[1].max, 16);
  EXPECT_FALSE(spec.inputs[3].required);
  EXPECT_EQ(spec.inputs[3].max_length, 2000);
  EXPECT_EQ(spec.env, (Bindings{{"LANG", "C.UTF-8"}}));
  ASSERT_TRUE(spec.concurrency);
  EXPECT_EQ(spec.concurrency->group, "ci-${{ run.ref }}");
  EXPECT_EQ(spec.concurrency->order, LockOrder::commit);
  EXPECT_EQ(spec.concurrency->on_overflow, OnOverflow::cancel_pending);
  EXPECT_EQ(spec.timeout, std::chrono::hours(1));
  EXPECT_EQ(spec.jobs.size(), 6U);
  EXPECT_EQ(spec.on_failure.size(), 1U);
  EXPECT_EQ(spec.finally.size(), 1U);
  EXPECT_EQ(spec.outputs.size(), 1U);
}

TEST(Parse, ReadsAJobOfSteps) {
  const WorkflowSpec spec = good(everything());
  const JobSpec& build = find(spec, "build");
  EXPECT_EQ(build.runs_on, std::vector<std::string>{"linux"});
  ASSERT_EQ(build.steps.size(), 2U);
  EXPECT_EQ(build.steps[0].uses, "checkout");
  EXPECT_EQ(build.steps[1].id, "compile");
  EXPECT_EQ(build.steps[1].name, "Compile");
  EXPECT_EQ(build.steps[1].env[1].second, "${{ inputs.target }}");
  EXPECT_EQ(build.steps[1].timeout, std::chrono::minutes(10));
  EXPECT_EQ(build.steps[1].working_directory, "server");
  EXPECT_TRUE(build.references.inputs);
  EXPECT_EQ(build.cache->outputs, std::vector<std::string>{"build/app"});
  EXPECT_EQ(build.artifacts[0].keep, std::chrono::hours(24 * 30));
  EXPECT_TRUE(build.retry.given);  // by `defaults`
  const JobSpec& test = find(spec, "test");
  EXPECT_EQ(test.needs, (std::vector<JobIndex>{0, 1}));
  EXPECT_EQ(test.matrix->axes[0].expression, "${{ from_json(needs.plan.outputs.suites) }}");
  EXPECT_EQ(test.matrix->axes[1].values.size(), 2U);
  EXPECT_EQ(test.max_parallel, 2);
  EXPECT_FALSE(test.fail_fast);
  EXPECT_EQ(test.retry.attempts, 3);
  EXPECT_EQ(test.retry.on, (std::vector<std::string>{"infra", "timeout"}));
  EXPECT_EQ(test.retry.exit_codes, std::vector<int>{75});
  EXPECT_EQ(test.timeout_queue, std::chrono::minutes(10));
  EXPECT_EQ(test.timeout_run, std::chrono::minutes(30));
  EXPECT_TRUE(test.continue_on_error);
  EXPECT_EQ(test.effects, Effects::idempotent);
  EXPECT_EQ(test.services[0].ready, "pg_isready");
  EXPECT_EQ(test.container_image, "debian:12");
  EXPECT_EQ(test.steps[1].condition, "always()");
  EXPECT_EQ(test.steps[1].with[0].second, "report-${{ matrix.suite }}");
  EXPECT_EQ(test.references.needs, std::vector<std::string>{"plan"});
  EXPECT_EQ(test.on_failure.size(), 1U);
  EXPECT_EQ(test.finally.size(), 1U);
}

TEST(Parse, ReadsTheOtherKindsOfJobs) {
  const WorkflowSpec spec = good(everything());
  const JobSpec& gate = find(spec, "gate");
  EXPECT_EQ(gate.kind, JobKind::approve);
  EXPECT_EQ(gate.condition, "inputs.target == 'build' && !inputs.dry_run");
  EXPECT_EQ(gate.approve->by, (std::vector<std::string>{"group:release", "user:ada"}));
  EXPECT_EQ(gate.approve->count, 2);
  EXPECT_EQ(gate.approve->expires, std::chrono::hours(24));
  EXPECT_FALSE(gate.approve->self);
  EXPECT_EQ(gate.references.needs, std::vector<std::string>{"build"});
  EXPECT_TRUE(gate.runs_on.empty());  // defaults are for jobs of steps
  EXPECT_EQ(find(spec, "cool_down").wait->duration, "10m");
  const JobSpec& ship = find(spec, "ship");
  EXPECT_EQ(ship.kind, JobKind::workflow);
  EXPECT_EQ(ship.child->name, "deploy");
  EXPECT_EQ(ship.child->inputs[0].second.as_string(), "${{ needs.build.outputs.version }}");
  EXPECT_EQ(ship.compensate.size(), 1U);
  EXPECT_EQ(job_of("workflow: deploy").child->name, "deploy");
  EXPECT_EQ(job_of("wait: {until: '2030-01-01T00:00:00Z'}").wait->until, "2030-01-01T00:00:00Z");
  EXPECT_EQ(job_of("wait: {event: paid, timeout: 1h}").wait->timeout, std::chrono::hours(1));
  EXPECT_EQ(job_of("approve: {}").approve->count, 1);
  EXPECT_EQ(job_of("approve:").approve->count, 1);
}

bool same(const Bindings& a, const Bindings& b) { return a == b; }

void expect_same_steps(const std::vector<StepSpec>& a, const std::vector<StepSpec>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::tie(a[i].id, a[i].name, a[i].condition, a[i].run, a[i].uses, a[i].with, a[i].env,
                       a[i].timeout, a[i].working_directory, a[i].shell, a[i].continue_on_error),
              std::tie(b[i].id, b[i].name, b[i].condition, b[i].run, b[i].uses, b[i].with, b[i].env,
                       b[i].timeout, b[i].working_directory, b[i].shell, b[i].continue_on_error));
  }
}

TEST(Parse, SourceReadsBackAsTheSameJob) {
  WorkflowSpec spec = good(everything());
  for (std::vector<JobSpec>* list : {&spec.jobs, &spec.on_failure, &spec.finally}) {
    for (const JobSpec& job : *list) {
      const auto source = parse_json(job.source_json);
      ASSERT_TRUE(source.ok()) << job.source_json;
      EXPECT_EQ(*source, job.source);
      const auto again = parse_job(job.key, *source);
      ASSERT_TRUE(again.ok()) << again.error().message;
      EXPECT_EQ(again->source_json, job.source_json);
      expect_same_steps(again->steps, job.steps);
      expect_same_steps(again->on_failure, job.on_failure);
      expect_same_steps(again->finally, job.finally);
      expect_same_steps(again->compensate, job.compensate);
      EXPECT_TRUE(same(again->env, job.env) && same(again->outputs, job.outputs));
      EXPECT_EQ(std::tie(again->kind, again->name, again->condition, again->runs_on,
                         again->max_parallel, again->fail_fast, again->timeout_queue,
                         again->timeout_run, again->continue_on_error, again->effects,
                         again->container_image, again->sandbox, again->shell),
                std::tie(job.kind, job.name, job.condition, job.runs_on, job.max_parallel,
                         job.fail_fast, job.timeout_queue, job.timeout_run, job.continue_on_error,
                         job.effects, job.container_image, job.sandbox, job.shell));
      EXPECT_EQ(std::tie(again->references.needs, again->references.secrets,
                         again->references.inputs, again->references.event),
                std::tie(job.references.needs, job.references.secrets, job.references.inputs,
                         job.references.event));
      EXPECT_EQ(again->retry.on, job.retry.on);
      EXPECT_EQ(again->retry.given, job.retry.given);
      EXPECT_EQ(again->matrix.has_value(), job.matrix.has_value());
      EXPECT_EQ(again->artifacts.size(), job.artifacts.size());
      EXPECT_EQ(again->services.size(), job.services.size());
    }
  }
}

TEST(Parse, AnEmptyNameIsTheFiles) {
  const char* text = "jobs: {a: {steps: [{uses: noop}]}}";
  EXPECT_EQ(parse_workflow(text, {.default_name = "nightly"}).spec.name, "nightly");
  EXPECT_EQ(good("name: own\njobs: {a: {steps: [{uses: noop}]}}").name, "own");
}

TEST(Parse, GitHubsSpellingsAreTakenWithAWarning) {
  const char* text =
      "jobs:\n"
      "  a:\n"
      "    runs-on: [linux]\n"
      "    timeout-minutes: 30\n"
      "    continue-on-error: true\n"
      "    fail-fast: false\n"
      "    max-parallel: 3\n"
      "    matrix: {x: [1, 2]}\n"
      "    steps:\n"
      "      - {run: ls, working-directory: sub, timeout-minutes: 5, continue-on-error: true}\n";
  const Parsed parsed = parse_workflow(text);
  ASSERT_TRUE(parsed.ok()) << told(parsed, text);
  EXPECT_EQ(parsed.warnings.size(), 8U) << told(parsed, text);
  for (const Problem& warning : parsed.warnings) EXPECT_EQ(warning.code, "spelling");
  const JobSpec& job = parsed.spec.jobs[0];
  EXPECT_EQ(job.runs_on, std::vector<std::string>{"linux"});
  EXPECT_EQ(job.timeout_run, std::chrono::minutes(30));
  EXPECT_TRUE(job.continue_on_error);
  EXPECT_FALSE(job.fail_fast);
  EXPECT_EQ(job.max_parallel, 3);
  EXPECT_EQ(job.steps[0].working_directory, "sub");
  EXPECT_EQ(job.steps[0].timeout, std::chrono::minutes(5));
}

TEST(Parse, DefaultsAreForJobsOfStepsThatDoNotSay) {
  const WorkflowSpec spec = good(
      "defaults: {runs_on: [linux], shell: sh, timeout: 5m, retry: {attempts: 4}}\n"
      "jobs:\n"
      "  a: {steps: [{run: ls}]}\n"
      "  b: {runs_on: mac, shell: bash, timeout: 1m, retry: 2, steps: [{run: ls}]}\n"
      "  c: {wait: 1s}\n");
  EXPECT_EQ(spec.jobs[0].runs_on, std::vector<std::string>{"linux"});
  EXPECT_EQ(spec.jobs[0].steps[0].shell, Shell::sh);
  EXPECT_EQ(spec.jobs[0].timeout_run, std::chrono::minutes(5));
  EXPECT_EQ(spec.jobs[0].retry.attempts, 4);
  EXPECT_EQ(spec.jobs[1].runs_on, std::vector<std::string>{"mac"});
  EXPECT_EQ(spec.jobs[1].steps[0].shell, Shell::bash);
  EXPECT_EQ(spec.jobs[1].retry.attempts, 2);
  EXPECT_TRUE(spec.jobs[2].runs_on.empty());
}

TEST(Parse, ResourcesAreThousandthsAndBytes) {
  const WorkflowSpec spec = good(
      "jobs:\n"
      "  a: {resources: {cpu: 0.25, memory: 512MiB}, steps: [{run: ls}]}\n"
      "  b: {resources: {cpu: 2}, steps: [{run: ls}]}\n"
      "  c: {resources: {memory: \"${{ inputs.m }}\"}, steps: [{run: ls}]}\n"
      "inputs: {m: {default: 1GiB}}\n");
  EXPECT_EQ(spec.jobs[0].resources, (Resources{.cpu_milli = 250, .memory = 512 << 20}));
  EXPECT_EQ(spec.jobs[1].resources, (Resources{.cpu_milli = 2000}));
  EXPECT_EQ(spec.jobs[2].late, std::vector<std::string>{"resources.memory"});
  EXPECT_EQ(to_text(spec.jobs[0].resources), "0.25 CPUs and 512.0 MiB");
  EXPECT_EQ(to_text(Resources{.cpu_milli = 1000}), "1 CPU");
}

TEST(Parse, YamlIsOfTheCoreSchema) {
  const WorkflowSpec spec = good(
      "on: push\n"
      "env: {A: yes, B: 1.10, C: 0x1F, D: null, E: \"1\", F: on, G: !!str 12, H: 1e3}\n"
      "jobs:\n"
      "  a: &base\n"
      "    env: &env {X: one, Y: two}\n"
      "    steps: &steps [{run: ls}]\n"
      "  b: {<<: *base, env: {<<: *env, Y: mine}}\n"
      "  c: {steps: *steps, env: {<<: [{Z: first}, {Z: second, W: w}]}}\n");
  EXPECT_TRUE(spec.on.push);
  EXPECT_EQ(spec.env, (Bindings{{"A", "yes"},
                                {"B", "1.10"},
                                {"C", "0x1F"},
                                {"D", ""},
                                {"E", "1"},
                                {"F", "on"},
                                {"G", "12"},
                                {"H", "1e3"}}));
  EXPECT_EQ(spec.jobs[1].steps[0].run, "ls");
  EXPECT_EQ(spec.jobs[1].env, (Bindings{{"Y", "mine"}, {"X", "one"}}));
  EXPECT_EQ(spec.jobs[2].env, (Bindings{{"Z", "first"}, {"W", "w"}}));
}

TEST(Parse, StepsAreNamedForPeople) {
  EXPECT_EQ(job_of("steps: [{run: \"make\\nls\"}]").steps[0].name, "make");
  EXPECT_EQ(job_of("steps: [{id: x, run: make}]").steps[0].name, "x");
  EXPECT_EQ(job_of("steps: [{uses: noop}]").steps[0].name, "noop");
  EXPECT_EQ(job_of("steps: [{name: N, id: x, uses: noop}]").steps[0].name, "N");
}

TEST(Parse, ReferencesSayWhatTravelsToTheWorker) {
  const WorkflowSpec spec = good(
      "env: {T: \"${{ secrets.deploy }}\", V: \"${{ vars.region }}\"}\n"
      "jobs:\n"
      "  a: {steps: [{run: ls}], outputs: {x: '1'}}\n"
      "  b: {needs: a, steps: [{run: ls, env: {S: \"${{ secrets.other }}\"}}]}\n"
      "  c: {needs: b, steps: [{run: ls, env: {X: \"${{ needs.a.outputs.x }}\"}}]}\n"
      "  d: {needs: [a, b], steps: [{run: ls, env: {X: \"${{ to_json(needs) }}\"}}]}\n"
      "  e: {steps: [{run: ls, env: {E: \"${{ event.ref }}\"}}]}\n");
  EXPECT_EQ(spec.jobs[1].references.secrets, (std::vector<std::string>{"other", "deploy"}));
  EXPECT_EQ(spec.jobs[0].references.vars, std::vector<std::string>{"region"});
  EXPECT_EQ(spec.jobs[2].references.needs, std::vector<std::string>{"a"});
  EXPECT_EQ(spec.jobs[3].references.needs, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(spec.jobs[4].references.event);
  EXPECT_FALSE(spec.jobs[0].references.event);
}

TEST(Parse, ProblemsAreShownInTheirPlace) {
  const char* text = "jobs:\n  a:\n    steps:\n      - runn: make\n";
  const Parsed parsed = parse_workflow(text);
  EXPECT_EQ(render_problems("ci.yaml", text, parsed.errors, "error", false),
            "ci.yaml:4:9: error[unknown_key]: unknown key `runn` in a step\n"
            "    4 |       - runn: make\n"
            "      |         ^ did you mean `run`?\n");
}

}  // namespace
}  // namespace mc::lang
