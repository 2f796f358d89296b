#include "worker/job_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "worker/fake_server_test.h"
#include "worker/sweep.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class Job : public JobRig {};

TEST_F(Job, ASucceedingScriptGivesOutputsAndLeavesNothing) {
  const auto result = run(script("echo hi; echo v=1 >> $MAESTRO_OUTPUT",
                                 R"j("outputs":{"version":"${{ steps.one.outputs.v }}"})j"));
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  EXPECT_EQ(result.outputs.string_or("version", ""), "1");
  ASSERT_EQ(result.steps.size(), 1U);
  EXPECT_EQ(result.steps[0].id, "one");
  EXPECT_EQ(result.steps[0].exit_code, 0);
  EXPECT_THAT(log(), HasSubstr("hi\n"));
  EXPECT_TRUE(fs::is_empty(data_ + "/work"));
}

TEST_F(Job, AFailingStepSkipsTheRestAndRunsOnFailureAndFinally) {
  const auto result = run(
      R"j({"steps":[{"run":"exit 3"},{"run":"echo never"},{"run":"echo always-ran","if":"always()"},
    {"run":"echo failed-ran","if":"failure()"}],"on_failure":[{"run":"echo on-failure"}],)j"
      R"j("finally":[{"run":"echo at-last"}]})j");
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(result.failure_kind, FailureKind::user);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.message, HasSubstr("exit code 3"));
  std::string shape;
  for (const auto& step : result.steps)
    shape += step.id + "=" + std::string(to_name(step.status)) + " ";
  EXPECT_EQ(
      shape,
      "1=failed 2=skipped 3=succeeded 4=succeeded on_failure-1=succeeded finally-1=succeeded ");
  EXPECT_THAT(log(), Not(HasSubstr("never")));
}

TEST_F(Job, ContinueOnErrorToleratesAStep) {
  const auto result =
      run(R"j({"steps":[{"id":"a","run":"exit 1","continue_on_error":true},{"run":"echo went-on"}],
    "outputs":{"s":"${{ steps.a.status }}","c":"${{ steps.a.exit_code }}"}})j");
  EXPECT_EQ(result.outcome, Outcome::succeeded);
  EXPECT_EQ(result.outputs.string_or("s", ""), "failed");
  EXPECT_EQ(result.outputs.string_or("c", ""), "1");  // outputs are strings
}

TEST_F(Job, TheEnvironmentIsTheContractAndNoMore) {
  settings_.pass_env = {"PASSED"};
  settings_.environment.push_back("PASSED=yes");
  const auto result = run(R"j({"env":{"JOB":"j${{ inputs.x }}","BOTH":"job"},"steps":[{"id":"e",)j"
                          R"j("env":{"BOTH":"step"},"run":"env; pwd; echo T=$TMPDIR"}]})j",
                          R"j("env":{"WF":"w","BOTH":"workflow"},"inputs":{"x":7})j");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  for (const char* want :
       {"CI=true\n", "MAESTRO_JOB_ID=build\n", "MAESTRO_ATTEMPT=2\n", "MAESTRO_WORKFLOW=ci\n",
        "MAESTRO_ACTOR=ada\n", "MAESTRO_STEP_ID=e\n", "JOB=j7\n", "WF=w\n", "BOTH=step\n",
        "PASSED=yes\n", "LC_ALL=C\n", "HOME=/tmp\n", "TRACEPARENT=00-"}) {
    EXPECT_THAT(log(), HasSubstr(want));
  }
  EXPECT_THAT(log(), Not(HasSubstr("SECRET_OF_WORKER")));
  EXPECT_THAT(log(), HasSubstr("T=" + data_));
}

TEST_F(Job, LaterStepsSeeMaestroEnvAndContexts) {
  const auto result = run(
      R"j({"matrix":{"m":["M"]},"steps":[{"id":"a",
    "run":"echo NEW=from-a >> $MAESTRO_ENV; echo x=1 >> $MAESTRO_OUTPUT"},
    {"run":"echo got-$NEW-$V","env":{"V":"${{ steps.a.outputs.x }}${{ env.NEW }}${{ )j"
      R"j(needs.up.outputs.o }}${{ matrix.m }}"}}]})j",
      R"j("needs":{"up":{"status":"succeeded","outputs":{"o":"O"}}},"matrix":{"m":"M"})j");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  EXPECT_THAT(log(), HasSubstr("got-from-a-1from-aOM"));
}

TEST_F(Job, SecretsAreMaskedInLogsOutputsAndMessages) {
  const auto result = run(
      script("printf 'hun'; printf 'ter2\\n'; echo x=$S >> $MAESTRO_OUTPUT; echo ::add-mask::more; "
             "echo some-more",
             R"j("env":{"S":"${{ secrets.s }}"},"outputs":{"x":"${{ steps.one.outputs.x }}"})j"),
      R"j("secrets":{"s":"hunter2"})j");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  EXPECT_THAT(log(), Not(HasSubstr("hunter2")));
  EXPECT_THAT(log(), HasSubstr("***\n::add-mask::***\nsome-***\n"));
  EXPECT_EQ(result.outputs.string_or("x", ""), "***");
}

TEST_F(Job, OutputsBeyondTheirLimitSayHowMuch) {
  auto result = run(script(
      "printf x= >> $MAESTRO_OUTPUT; head -c 70000 /dev/zero | tr '\\0' a >> $MAESTRO_OUTPUT"));
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_THAT(result.message, HasSubstr("70000 bytes"));
  EXPECT_THAT(result.message, HasSubstr("artifact"));
  result =
      run(script("for i in $(seq 20); do printf x$i= >> $MAESTRO_OUTPUT; head -c 60000 /dev/zero | "
                 "tr '\\0' a >> "
                 "$MAESTRO_OUTPUT; echo >> $MAESTRO_OUTPUT; done"));
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_THAT(result.message, HasSubstr("1.0 MiB"));
}

TEST_F(Job, MalformedOutputsFailTheStepWithTheLine) {
  const auto result = run(script("printf 'a=1\\nnonsense\\n' >> $MAESTRO_OUTPUT"));
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_THAT(result.message, HasSubstr("MAESTRO_OUTPUT, line 2"));
}

TEST_F(Job, AnswersThatAreNoFilesFailTheStepAndHoldNobody) {
  auto result = run(script("rm $MAESTRO_OUTPUT; mkfifo $MAESTRO_OUTPUT"));
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(result.failure_kind, FailureKind::user);
  EXPECT_THAT(result.message, HasSubstr("is not a regular file"));
  result = run(script("ln -sf /etc/passwd $MAESTRO_OUTPUT"), "", "t2");
  EXPECT_THAT(result.message, HasSubstr("leads out of the workspace"));
  result = run(R"j({"steps":[{"run":"cd $(dirname $MAESTRO_OUTPUT); mkfifo 2.sh 2.output 2.env"},
    {"run":"echo second"}]})j",
               "", "t3");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  EXPECT_THAT(log("t3"), HasSubstr("second"));
}

TEST_F(Job, ARemovedWorkspaceIsTheJobsOwnFault) {
  const auto result =
      run(R"j({"steps":[{"run":"rm -rf \"$(dirname $MAESTRO_WORKSPACE)\""},{"run":"echo no"}]})j");
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(result.failure_kind, FailureKind::user);
  EXPECT_THAT(result.message, HasSubstr("the workspace is gone"));
}

TEST_F(Job, AStoppedStepHearsTheFirstSignalOfTheLadder) {
  settings_.ladder = {.ask = Duration(20'000), .terminate = Duration(20'000)};
  const auto result =
      run(R"j({"steps":[{"run":"trap 'exit 5' INT; kill -STOP $$","timeout":"3s"}]})j");
  EXPECT_EQ(result.steps[0].status, StepStatus::timed_out);
  EXPECT_EQ(result.steps[0].exit_code, 5);
}

TEST_F(Job, AJobThatIgnoresSignalsIsKilledAtTheEndOfTheLadder) {
  std::jthread canceller([&] {
    server_.wait([&] { return server_.logs["t1"].find("ready") != std::string::npos; });
    control_.cancel();
  });
  const auto result =
      run(R"j({"steps":[{"run":"trap '' INT TERM; echo ready; while :; do read -t 1 <> <(:) || )j"
          R"j(:; done"},
    {"run":"echo not-me"}],"finally":[{"run":"echo cleaned"}]})j");
  EXPECT_EQ(result.outcome, Outcome::cancelled);
  EXPECT_EQ(result.steps[0].status, StepStatus::cancelled);
  EXPECT_EQ(result.steps[0].signal, SIGKILL);
  EXPECT_THAT(log(), HasSubstr("cleaned"));
  EXPECT_THAT(log(), Not(HasSubstr("not-me")));
}

TEST_F(Job, SigintComesFirstSoThatAJobCanCleanUp) {
  settings_.ladder = {.ask = Duration(20'000), .terminate = Duration(20'000)};
  std::jthread canceller([&] {
    server_.wait([&] { return server_.logs["t1"].find("ready") != std::string::npos; });
    control_.cancel();
  });
  const auto result =
      run(script("trap 'echo interrupted; exit 5' INT; echo ready; while :; do read -t 0.05 <> "
                 "<(:) || :; done"));
  EXPECT_EQ(result.outcome, Outcome::cancelled);
  EXPECT_THAT(log(), HasSubstr("interrupted"));
}

TEST_F(Job, ADaemonThatLeftTheSessionDiesWithTheJob) {
  const std::string pid_file = data_ + "/daemon.pid";
  const auto result =
      run(script("setsid bash -c '(setsid bash -c \"echo \\$\\$ > " + pid_file +
                 "; exec sleep 600\" </dev/null >/dev/null 2>&1 &)' & wait; while [ ! -s " +
                 pid_file + " ]; do sleep 0.01; done"));
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  const std::string pid(trim(*read_file(pid_file, 100)));
  EXPECT_FALSE(fs::exists("/proc/" + pid + "/fd")) << pid;
}

TEST_F(Job, ABackgroundProcessServesLaterSteps) {
  const auto result =
      run(R"j({"steps":[{"run":"touch ticks; (while :; do echo tick >> ticks; sleep 0.01; done) &"},
    {"run":"n=$(wc -l < ticks); while [ $(wc -l < ticks) -le $n ]; do sleep 0.01; done; echo )j"
          R"j(it-lives"}]})j");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  EXPECT_THAT(log(), HasSubstr("it-lives"));
}

TEST_F(Job, TimeOutsOfStepsAndJobsAreTimeOuts) {
  auto result = run(R"j({"steps":[{"run":"sleep 60","timeout":"100ms"}]})j");
  EXPECT_EQ(result.outcome, Outcome::timed_out);
  EXPECT_EQ(result.failure_kind, FailureKind::timeout);
  EXPECT_EQ(result.steps[0].status, StepStatus::timed_out);
  result = run(R"j({"timeout":"100ms","steps":[{"run":"sleep 60"},{"run":"echo late"}],)j"
               R"j("finally":[{"run":"echo swept"}]})j",
               "", "t2");
  EXPECT_EQ(result.outcome, Outcome::timed_out);
  EXPECT_EQ(result.steps.back().status, StepStatus::succeeded);
  EXPECT_THAT(log("t2"), HasSubstr("swept"));
}

TEST_F(Job, ASignalIsNamed) {
  const auto result = run(script("kill -SEGV $$"));
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_THAT(result.message, HasSubstr("SIGSEGV"));
}

TEST_F(Job, ALostLeaseKillsAtOnceAndSendsNothingMore) {
  settings_.ladder = {.ask = Duration(60'000), .terminate = Duration(60'000)};
  std::jthread loser([&] {
    server_.wait([&] { return server_.logs["t1"].find("ready") != std::string::npos; });
    control_.lose();
  });
  run(R"j({"steps":[{"run":"trap '' INT TERM; echo ready; while :; do read -t 1 <> <(:) || )j"
      R"j(:; done"}],"finally":[{"run":"echo not-now"}]})j");
  EXPECT_THAT(log(), Not(HasSubstr("not-now")));
}

TEST_F(Job, BinaryOutputPassesAsItIs) {
  run(script("printf 'a\\000\\377\\nb'"));
  EXPECT_THAT(log(), HasSubstr(std::string("a\0\xff\nb", 5)));
}

TEST_F(Job, AnnotationsComeFromLinesAndFromTheFile) {
  const auto result =
      run(script(R"j(echo '::error file=a.cc,line=3::bad%0Athing'; echo '{"level":"notice",)j"
                 R"j("message":"n","file":"f"}' >> $MAESTRO_ANNOTATIONS; echo '# )j"
                 R"j(Hi' >> $MAESTRO_SUMMARY)j"));
  ASSERT_EQ(result.annotations.as_list().size(), 2U);
  const Value& error = result.annotations.as_list()[1];
  EXPECT_EQ(error.string_or("message", ""), "bad\nthing");
  EXPECT_EQ(error.int_or("line", 0), 3);
  EXPECT_EQ(result.summary, "# Hi\n");
}

TEST_F(Job, WorkingDirectoryAndShell) {
  const auto result =
      run(R"j({"steps":[{"run":"mkdir -p sub"},{"run":"pwd; echo $0","working_directory":"sub",)j"
          R"j("shell":"sh"},
    {"run":"true","working_directory":"nowhere"}]})j");
  EXPECT_THAT(log(), HasSubstr("/ws/sub\n"));
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_THAT(result.message, HasSubstr("nowhere does not exist"));
}

TEST_F(Job, ServicesAreReadyBeforeStepsAndStoppedAfter) {
  const std::string pid_file = data_ + "/service.pid";
  auto result =
      run(R"j({"services":{"db":{"run":"echo $$ > )j" + pid_file +
          R"j(; touch \"$MAESTRO_SERVICE_DIR/up\"; echo serving; exec sleep 600","ready":"test )j"
          R"j(-e $MAESTRO_SERVICE_DIR/up"}},
    "steps":[{"run":"test -e \"$MAESTRO_SERVICE_DIR/up\"; echo used"}]})j");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message << log();
  EXPECT_THAT(log(), HasSubstr("serving"));
  EXPECT_FALSE(fs::exists("/proc/" + std::string(trim(*read_file(pid_file, 100))) + "/fd"));
  result =
      run(R"j({"services":{"db":{"run":"exit 4","ready":"false"}},"steps":[{"run":"echo no"}]})j",
          "", "t2");
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(result.failure_kind, FailureKind::infra);
  EXPECT_THAT(result.message, HasSubstr("exit code 4"));
  EXPECT_EQ(result.steps.at(0).status, StepStatus::skipped);
}

TEST_F(Job, ASandboxWritesOnlyItsOwnFolders) {
  if (::access("/usr/bin/bwrap", X_OK) != 0) GTEST_SKIP() << "no bubblewrap here";
  if (run(script("bwrap --ro-bind / / --proc /proc true"), "", "t0").outcome !=
      Outcome::succeeded) {
    const auto refused = run(R"j({"sandbox":true,"steps":[{"run":"true"}]})j");
    EXPECT_EQ(refused.failure_kind, FailureKind::infra);
    EXPECT_THAT(refused.message, HasSubstr("bubblewrap cannot make one on this worker"));
    EXPECT_THAT(log(), HasSubstr("bwrap: "));
    return;
  }
  const auto result =
      run(R"j({"sandbox":true,"steps":[{"run":"echo x > mine; touch /usr/not-mine 2>/dev/null && )j"
          R"j(echo wrote-outside; cat mine; echo o=1 >> $MAESTRO_OUTPUT"}]})j");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message << log();
  EXPECT_THAT(log(), Not(HasSubstr("wrote-outside")));
  const auto good =
      run(R"j({"sandbox":true,"steps":[{"run":"echo sand > mine; cat mine"}]})j", "", "t2");
  EXPECT_EQ(good.outcome, Outcome::succeeded) << good.message << log("t2");
}

TEST_F(Job, AMissingSandboxOrContainerIsSaidClearly) {
  fs::create_directories(data_ + "/bin");
  for (const char* tool : {"bash", "sh"})
    fs::create_symlink(std::string("/bin/") + tool, data_ + "/bin/" + tool);
  settings_.environment = {"PATH=" + data_ + "/bin"};
  auto result = run(R"j({"sandbox":true,"steps":[{"run":"true"}]})j");
  EXPECT_EQ(result.failure_kind, FailureKind::infra);
  EXPECT_THAT(result.message, HasSubstr("bubblewrap"));
  result = run(R"j({"container":{"image":"debian:12"},"steps":[{"run":"true"}]})j");
  EXPECT_EQ(result.failure_kind, FailureKind::infra);
  EXPECT_THAT(result.message, HasSubstr("podman"));
}

TEST_F(Job, AnArtifactTravelsAndComesBack) {
  auto result =
      run(R"j({"steps":[{"run":"mkdir -p out/deep; echo 1 > out/a; echo 2 > out/deep/b; echo app )j"
          R"j(> app; echo L > $MAESTRO_ARTIFACTS_DIR/left"},
    {"uses":"artifact/upload","with":{"name":"tree","path":"out/"}}],)j"
          R"j("artifacts":[{"name":"app","path":"app"}]})j");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  ASSERT_EQ(result.artifacts.size(), 3U);
  server_.artifacts = result.artifacts;
  result = run(R"j({"steps":[{"uses":"artifact/download","with":{"name":"tree","path":"in"}},
    {"uses":"artifact/download","with":{"name":"app"}},{"run":"cat in/a in/deep/b app; ls"}]})j",
               "", "t2");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message << log("t2");
  EXPECT_THAT(log("t2"), HasSubstr("1\n2\napp\n"));
  result = run(R"j({"steps":[{"run":"true"}],"artifacts":[{"name":"x","path":"nothing/**"}]})j", "",
               "t3");
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_THAT(result.message, HasSubstr("no file matches nothing/**"));
}

TEST_F(Job, LinksOfArtifactsLeadNowhereElse) {
  const std::string victim = settings_.data + "/victim";
  ASSERT_TRUE(write_file(victim, "kept").ok());
  auto result = run(R"j({"steps":[{"run":"echo new > victim; mkdir d; echo f > d/f; ln -s d l"},
    {"uses":"artifact/upload","with":{"name":"one","path":"victim"}},
    {"uses":"artifact/upload","with":{"name":"all","path":"l"}}]})j");
  ASSERT_EQ(result.outcome, Outcome::succeeded) << result.message;
  server_.artifacts = result.artifacts;
  result = run(R"j({"steps":[{"run":"ln -s )j" + victim + R"j( victim"},
    {"uses":"artifact/download","with":{"name":"one"}},
    {"uses":"artifact/download","with":{"name":"all","path":"in"}},{"run":"cat victim in/f"}]})j",
               "", "t2");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  EXPECT_EQ(log("t2").find("new\nf\n") != std::string::npos, true) << log("t2");
  EXPECT_EQ(*read_file(victim, 100), "kept");
  for (const std::string path : {"up", "up/deep", "/tmp"}) {
    result = run(R"j({"steps":[{"run":"ln -s )j" + settings_.data + R"j( up"},
      {"uses":"artifact/download","with":{"name":"all","path":")j" +
                     path + R"j("}}]})j",
                 "", "t3" + path);
    EXPECT_EQ(result.failure_kind, FailureKind::user);
    EXPECT_THAT(result.message, HasSubstr("leads out of the workspace")) << path;
  }
}

TEST_F(Job, TheSameCacheKeyIsReusedAndAChangedInputIsNot) {
  const auto job = [](const std::string& content) {
    return R"j({"steps":[{"uses":"checkout"},{"id":"m","run":"cat in.txt > out.txt; echo v=)j" +
           content +
           R"j( >> $MAESTRO_OUTPUT"}],"outputs":{"v":"${{ steps.m.outputs.v }}"},
      "cache":{"key":"k-${{ hash_files('in.txt') }}","inputs":["in.txt"],)j"
           R"j("outputs":["out.txt"]},"artifacts":[{"name":"o",)j"
           R"j("path":"out.txt"}]})j";
  };
  const std::string tree = data_ + "/tree";
  fs::create_directories(tree);
  ASSERT_TRUE(write_file(tree + "/in.txt", "one").ok());
  settings_.local_checkout_dir = tree;
  const auto first = run(job("1"), "", "t1");
  EXPECT_EQ(first.outcome, Outcome::succeeded) << first.message << log();
  ASSERT_TRUE(first.cache.has_value());
  EXPECT_FALSE(first.cache->hit);
  const auto second = run(job("1"), "", "t2");
  EXPECT_EQ(second.outcome, Outcome::reused) << second.message << log("t2");
  EXPECT_TRUE(second.cache->hit);
  EXPECT_EQ(second.cache->from_job, "build");
  EXPECT_EQ(second.outputs.string_or("v", ""), "1");
  ASSERT_EQ(second.steps.size(), 2U);
  EXPECT_EQ(second.steps[1].status, StepStatus::skipped);
  ASSERT_EQ(second.artifacts.size(), 1U);
  EXPECT_EQ(second.artifacts[0].digest, first.artifacts[0].digest);
  EXPECT_EQ(run(job("2"), "", "t3").outcome, Outcome::succeeded);  // another script
  ASSERT_TRUE(write_file(tree + "/in.txt", "two").ok());
  EXPECT_EQ(run(job("1"), "", "t4").outcome, Outcome::succeeded);  // another input
  {
    const std::scoped_lock lock(server_.mutex);
    for (auto& [digest, bytes] : server_.blobs) bytes = "broken";
  }
  EXPECT_EQ(run(job("1"), "", "t5").outcome, Outcome::succeeded);  // a broken entry is a miss
}

TEST_F(Job, CheckoutClonesTheRunsCommit) {
  const std::string repo = data_ + "/repo";
  fs::create_directories(repo);
  const auto made =
      run(script("cd " + repo +
                 "; git init -q -b main .; git config user.email a@b; git config user.name n; "
                 "echo one > f; git add f; git commit -qm 1; git rev-parse HEAD > ../first; echo "
                 "two > f; git commit -qam 2"));
  ASSERT_EQ(made.outcome, Outcome::succeeded) << log();
  const std::string commit(trim(*read_file(data_ + "/first", 100)));
  const auto spec = [&](const std::string& want) {
    return R"j("run":{"repository":")j" + repo + R"j(","commit":")j" + want +
           R"j(","ref":"main"})j";
  };
  Task checkout =
      task(R"j({"steps":[{"uses":"checkout"},{"run":"echo content-$(cat f)"}]})j", "", "t2");
  for (const auto& [want, content] :
       {std::pair{commit, "content-one"}, std::pair{std::string(), "content-two"}}) {
    FakeApi api(server_);
    checkout.task_id = "t-" + want;
    checkout.spec_json =
        R"j({"workflow":"ci","phase":"graph",)j" + spec(want) +
        R"j(,"job":{"steps":[{"uses":"checkout"},{"run":"echo content-$(cat f)"}]}})j";
    const auto result = run_task(checkout, settings_, api, control_, sender(api, checkout));
    EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message << log(checkout.task_id);
    EXPECT_THAT(log(checkout.task_id), HasSubstr(content));
  }
  checkout.spec_json =
      R"j({"workflow":"ci","phase":"graph","job":{"steps":[{"uses":"checkout"}]}})j";
  FakeApi api(server_);
  EXPECT_THAT(run_task(checkout, settings_, api, control_, sender(api, checkout)).message,
              HasSubstr("no repository"));
}

TEST_F(Job, LocalCheckoutTakesUncommittedChangesButNotIgnoredFiles) {
  const std::string tree = data_ + "/tree";
  fs::create_directories(tree);
  ASSERT_EQ(
      run(script("cd " + tree +
                 "; git init -q .; echo out > .gitignore; git add .gitignore; echo new > 'a b'; "
                 "echo built > out; echo gone > gone; git add gone; rm gone"))
          .outcome,
      Outcome::succeeded)
      << log();
  settings_.local_checkout_dir = tree;
  const auto result =
      run(R"j({"steps":[{"uses":"checkout"},{"run":"cat 'a b'; ls -A"}]})j", "", "t2");
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message << log("t2");
  EXPECT_THAT(log("t2"), HasSubstr("new\n"));
  EXPECT_THAT(log("t2"), Not(HasSubstr("out\n")));
}

TEST_F(Job, NoopsNeedNoFolderAndNoLog) {
  const auto result =
      run(R"j({"steps":[{"id":"n","uses":"noop"}],"outputs":{"s":"${{ steps.n.status }}"}})j");
  EXPECT_EQ(result.outcome, Outcome::succeeded);
  EXPECT_EQ(result.outputs.string_or("s", ""), "succeeded");
  EXPECT_FALSE(fs::exists(data_ + "/work"));
  EXPECT_EQ(log(), "");
}

TEST_F(Job, AServerThatCannotTakeAnUploadIsInfrastructure) {
  Task upload = task(R"j({"steps":[{"run":"echo x > x"}],"artifacts":[{"name":"x","path":"x"}]})j");
  FakeApi api(server_);
  FakeServer other;
  FakeApi log_api(other);
  server_.failing = 1'000'000;
  const auto result = run_task(upload, settings_, api, control_, sender(log_api, upload));
  EXPECT_EQ(result.outcome, Outcome::failed);
  EXPECT_EQ(result.failure_kind, FailureKind::infra);
}

TEST_F(Job, CompensationRunsItsOwnSteps) {
  Task undo = task(R"j({"steps":[{"run":"echo do"}],"compensate":[{"run":"echo undo"}],)j"
                   R"j("finally":[{"run":"echo fin"}]})j");
  undo.spec_json.replace(undo.spec_json.find("\"graph\""), 7, "\"compensate\"");
  FakeApi api(server_);
  const auto result = run_task(undo, settings_, api, control_, sender(api, undo));
  EXPECT_EQ(result.outcome, Outcome::succeeded) << result.message;
  EXPECT_EQ(log(), "undo\n");
}

TEST_F(Job, AnUnreadableTaskIsRefusedNotLost) {
  EXPECT_EQ(run(R"j({"stepz":[]})j").outcome, Outcome::failed);
  FakeApi api(server_);
  Task broken{.task_id = "b", .fence = 1, .spec_json = "{"};
  EXPECT_EQ(run_task(broken, settings_, api, control_, sender(api, broken)).outcome,
            Outcome::failed);
}

}  // namespace
}  // namespace mc::worker
