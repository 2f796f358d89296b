// Verbs end to end against a scripted server: what is printed, and the exit code.
#include "cli/session.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "cli/exec.h"
#include "cli/follow.h"
#include "cli/script_test.h"

namespace mc::cli {
namespace {

constexpr const char* kId = "01932f4e-7a10-7c3e-8a55-0123456789ab";
const std::string kRunPath = std::string("/api/v1/runs/") + kId;

std::string run_json(const std::string& status) {
  return std::string(R"({"id":")") + kId + R"(","number":3,"workflow":"ci","status":")" + status +
         R"(","inputs":{},"outputs":{},"jobs":{"total":1},"created_at":"2026-11-23T12:00:00Z"})";
}

TEST(ExitCodes, AreThoseOfTheConventions) {
  const std::tuple<int, const char*, int> rows[] = {
      {400, "malformed_json", 2}, {401, "unauthenticated", 4}, {403, "forbidden", 4},
      {404, "run_not_found", 6},  {409, "run_final", 7},       {412, "precondition_failed", 7},
      {422, "invalid_input", 2},  {429, "rate_limited", 8},    {500, "internal", 8},
      {503, "shutting_down", 8},  {409, "a_code_of_later", 7}, {404, "a_code_of_later", 6},
  };
  for (const auto& [status, code, wanted] : rows) {
    test::Stage stage;
    stage.script.on("GET " + kRunPath, status,
                    std::string(R"({"code":")") + code + R"(","detail":"words"})");
    EXPECT_EQ(stage.run({"runs", "show", kId}), wanted) << code;
    EXPECT_EQ(stage.desk.err.rfind("maestro: words (", 0), 0U) << stage.desk.err;
    EXPECT_NE(stage.desk.err.find("request id: req-1"), std::string::npos);
    EXPECT_EQ(stage.desk.out, "");
  }
}

TEST(ExitCodes, NothingThatAnswersIsEight) {
  test::Stage stage;
  stage.script.down = true;
  EXPECT_EQ(stage.run({"runs", "list"}), 8);
  EXPECT_NE(stage.desk.err.find("(unreachable)"), std::string::npos);
  EXPECT_NE(stage.desk.err.find("hint:"), std::string::npos);
}

TEST(ExitCodes, FollowTheRun) {
  const std::pair<const char*, int> rows[] = {
      {"succeeded", 0}, {"failed", 1}, {"timed_out", 1}, {"cancelled", 3}, {"denied", 3}};
  for (const auto& [status, wanted] : rows) {
    test::Stage stage;
    stage.script.on("POST /api/v1/runs", 201, run_json("queued"));
    stage.script.on("GET " + kRunPath + "?wait=2000ms", 200, run_json(status));
    EXPECT_EQ(stage.run({"run", "ci", "--wait", "-q"}), wanted) << status;
    EXPECT_EQ(stage.desk.out, std::string(kId) + "\n");
  }
}

TEST(Why, TellsSinceWhenByWhomAndForHowLong) {
  const auto item = [](const std::string& estimate) {
    return R"({"items":[{"job":"a","status":"waiting","reason":"lock","waits_for":"the group g",)"
           R"("since":")" +
           to_rfc3339(system_clock().now() - Millis(190'000)) +
           R"(","until":"2030-01-01T00:00:00.000Z","lifted_by":[{"kind":"run","name":"run #7"},)"
           R"({"kind":"time","name":"the clock"}],"estimate":)" +
           estimate + "}]}";
  };
  const std::pair<std::string, std::string> rows[] = {
      {R"({"remaining_ms":40000,"runs":12})", "; usually 40 s more (12 runs); until 2030"},
      {R"({"remaining_ms":0,"runs":1})", "; usually over by now (1 run); until 2030"},
      {"null", "lifted by run #7; until 2030"},
  };
  for (const auto& [estimate, wanted] : rows) {
    test::Stage stage;
    stage.script.on("GET " + kRunPath + "/why?job=a", 200, item(estimate));
    EXPECT_EQ(stage.run({"why", std::string(kId) + "/a"}), 0) << stage.desk.err;
    EXPECT_NE(stage.desk.out.find("the group g\n"), std::string::npos) << stage.desk.out;
    EXPECT_NE(stage.desk.out.find("since 3m "), std::string::npos) << stage.desk.out;
    EXPECT_NE(stage.desk.out.find(" ago; lifted by run #7; "), std::string::npos) << stage.desk.out;
    EXPECT_NE(stage.desk.out.find(wanted), std::string::npos) << stage.desk.out;
  }
}

TEST(Why, IsUnchangedForPrograms) {
  test::Stage stage;
  stage.script.on("GET " + kRunPath + "/why", 200, R"({"items":[{"job":"a"},{"job":"b"}]})");
  EXPECT_EQ(stage.run({"why", kId, "-q"}), 0);
  EXPECT_EQ(stage.run({"why", kId, "-o", "ndjson"}), 0);
  EXPECT_EQ(stage.desk.out, "a\nb\n{\"job\":\"a\"}\n{\"job\":\"b\"}\n");
}

TEST(Create, IsSentAgainWithItsKeyWhenTheServerBehindAProxyFell) {
  test::Stage stage;
  stage.script.on("POST /api/v1/runs", 502, "<html>bad gateway</html>");
  stage.script.on("POST /api/v1/runs", 201, run_json("queued"));
  EXPECT_EQ(stage.run({"run", "ci", "-q"}), 0) << stage.desk.err;
  ASSERT_EQ(stage.script.calls.size(), 2U);
  EXPECT_EQ(stage.script.calls[0].headers, stage.script.calls[1].headers);
}

TEST(ExitCodes, ListsAndLogsDoNotFailWithTheRun) {
  test::Stage stage;
  stage.script.on("GET /api/v1/runs?limit=20", 200,
                  R"({"items":[)" + run_json("failed") + R"(],"next_cursor":null})");
  EXPECT_EQ(stage.run({"runs", "list"}), 0);
  stage.script.on("GET " + kRunPath + "/jobs", 200,
                  R"({"items":[{"key":"b","status":"failed","attempt":1}]})");
  stage.script.on("GET " + kRunPath + "/jobs/b/logs", 200, "one\ntwo");
  stage.desk.out.clear();
  EXPECT_EQ(stage.run({"runs", "logs", kId, "--failed"}), 0);
  EXPECT_EQ(stage.desk.out, "b │ one\nb │ two\n");
  stage.desk.out.clear();
  EXPECT_EQ(stage.run({"runs", "logs", kId, "b"}), 0);
  EXPECT_EQ(stage.desk.out, "one\ntwo");
  EXPECT_EQ(stage.run({"runs", "logs", kId, "c"}), 6);
}

TEST(RunsList, PrintsTheApisAnswer) {
  test::Stage stage;
  stage.script.on("GET /api/v1/runs?limit=1&q=status%3Afailed", 200,
                  R"({"items":[{"id":"x1","number":2}],"next_cursor":"n"})");
  EXPECT_EQ(stage.run({"runs", "list", "-n", "1", "-o", "json", "status:failed"}), 0);
  EXPECT_EQ(to_json(*parse_json(stage.desk.out)),
            R"({"items":[{"id":"x1","number":2}],"next_cursor":"n"})");
  stage.desk.out.clear();
  EXPECT_EQ(stage.run({"runs", "list", "-n", "1", "-q", "status:failed"}), 0);
  EXPECT_EQ(stage.desk.out, "x1\n");
  stage.desk.out.clear();
  EXPECT_EQ(stage.run({"runs", "list", "-n", "1", "-o", "yaml", "status:failed"}), 0);
  EXPECT_EQ(stage.desk.out, "items:\n  - id: x1\n    number: 2\nnext_cursor: \"n\"\n");
}

TEST(Run, SendsWhatWasGivenWithAKeyOfItsOwn) {
  test::Stage stage;
  stage.script.on("POST /api/v1/runs", 201, run_json("queued"));
  EXPECT_EQ(stage.run({"run", "ci", "-i", "a=1", "--label", "team=api", "--ref", "main", "-q"}), 0);
  ASSERT_EQ(stage.script.calls.size(), 1U);
  EXPECT_EQ(stage.script.calls[0].body,
            R"({"workflow":"ci","inputs":{"a":"1"},"labels":{"team":"api"},"ref":"main"})");
  EXPECT_EQ(stage.script.calls[0].headers.at(0).first, "Idempotency-Key");
}

TEST(Run, AServerThatCannotServeForAMomentIsAskedAgainWithTheSameKey) {
  test::Stage stage;
  const std::string busy = R"({"code":"overloaded","detail":"no replica leads at the moment"})";
  stage.script.on("POST /api/v1/runs", 503, busy);
  stage.script.on("POST /api/v1/runs", 201, run_json("queued"));
  const std::string wait = "GET " + kRunPath + "?wait=2000ms";
  stage.script.on(wait, 503, busy);
  stage.script.on(wait, 200, run_json("succeeded"));
  EXPECT_EQ(stage.run({"run", "ci", "--wait", "-q"}), 0) << stage.desk.err;
  ASSERT_GE(stage.script.calls.size(), 4U);
  EXPECT_EQ(stage.script.calls[0].headers, stage.script.calls[1].headers);
}

TEST(Run, WhoIsNoServerOfOursIsAskedOnce) {
  test::Stage stage;
  stage.script.on("POST /api/v1/runs", 200, "<html>welcome</html>");
  EXPECT_EQ(stage.run({"run", "ci"}), 8);
  EXPECT_EQ(stage.script.calls.size(), 1U);
}

TEST(Run, GivesUpWaitingWithFive) {
  test::Stage stage;
  stage.script.on("POST /api/v1/runs", 201, run_json("queued"));
  stage.script.on("GET " + kRunPath + "?wait=1ms", 200, run_json("running"));
  EXPECT_EQ(stage.run({"run", "ci", "--wait", "--timeout", "1ms", "-q"}), 5);
}

TEST(Run, DetachesWhenInterrupted) {
  test::Stage stage;
  stage.desk.interrupts.count = 1;
  stage.script.on("POST /api/v1/runs", 201, run_json("queued"));
  EXPECT_EQ(stage.run({"run", "ci", "--wait"}), 130);
  EXPECT_NE(stage.desk.err.find("maestro runs cancel " + std::string(kId)), std::string::npos);
}

TEST(Follow, PrintsChangesAndLinesInAPipe) {
  test::Stage stage;
  const std::string events = kRunPath + "/events?after=";
  stage.script.on("POST /api/v1/runs", 201, run_json("queued"));
  stage.script.on(
      "GET " + events + "0", 200,
      R"({"items":[{"seq":1,"type":"run.started","time":"2026-11-23T12:00:00Z","data":{}},
                  {"seq":2,"type":"job.started","time":"2026-11-23T12:00:00Z",
                   "data":{"job":"b","attempt":1}}]})");
  stage.script.on("GET " + events + "2", 200, R"({"items":[]})");
  stage.script.on("GET " + events + "2", 200,
                  R"({"items":[{"seq":3,"type":"job.finished","time":"2026-11-23T12:00:02Z",
                   "data":{"job":"b","status":"failed",
                   "message":"exit code 3"}},
                  {"seq":4,"type":"run.finished",
                   "time":"2026-11-23T12:00:02Z","data":{"status":"failed"}}]})");
  stage.script.on("GET " + events + "4", 200, R"({"items":[]})");
  stage.script.on("GET " + kRunPath, 200, run_json("running"));
  stage.script.on("GET " + kRunPath, 200, run_json("failed"));
  stage.script.on("GET " + kRunPath + "/jobs", 200,
                  R"({"items":[{"key":"b","status":"running","needs":[]}]})");
  const std::string logs = "GET " + kRunPath + "/jobs/b/logs?attempt=1";
  stage.script.on(logs, 206, "hel");
  stage.script.on(logs, 416, "");
  stage.script.on(logs, 206, "lo\nlast");
  stage.script.on(logs, 416, "");
  EXPECT_EQ(stage.run({"run", "ci", "--follow"}), 1);
  EXPECT_EQ(stage.desk.out,
            "● run running\n● b running\nb │ hello\nb │ last\n✘ b failed in 2.0 s: exit code 3\n✘ "
            "run failed\n"
            "http://test/runs/" +
                std::string(kId) + "\n");
}

TEST(Secrets, AreNeverTakenFromTheCommandLine) {
  test::Stage stage;
  EXPECT_EQ(stage.run({"secrets", "set", "KEY", "value"}), 2);
  stage.desk.input = "s3cret\n";
  stage.script.on("PUT /api/v1/secrets/KEY", 200, R"({"name":"KEY"})");
  EXPECT_EQ(stage.run({"secrets", "set", "KEY"}), 0);
  EXPECT_EQ(stage.script.calls.back().body, R"({"value":"s3cret"})");
  EXPECT_EQ(stage.desk.out.find("s3cret"), std::string::npos);
  stage.desk.io.in_terminal = true;
  EXPECT_EQ(stage.run({"secrets", "set", "KEY"}), 2);
}

TEST(Tokens, TheSecretStandsAlone) {
  test::Stage stage;
  stage.script.on("POST /api/v1/tokens", 201,
                  R"({"id":"t1","name":"ci","role":"operator","secret":"mt_x"})");
  EXPECT_EQ(stage.run({"tokens", "create", "ci", "--role", "operator"}), 0);
  EXPECT_EQ(stage.desk.out, "mt_x\n");
  EXPECT_EQ(stage.run({"tokens", "create", "ci"}), 2);
}

TEST(Approve, NamesTheJobsWhenSeveralWait) {
  test::Stage stage;
  stage.script.on("GET /api/v1/approvals?status=waiting&limit=100", 200,
                  std::string(R"({"items":[{"id":"a1","run_id":")") + kId +
                      R"(","job":"x"},{"id":"a2","run_id":")" + kId +
                      R"(","job":"y"},{"id":"a3","run_id":"other","job":"z"}]})");
  stage.script.on("POST /api/v1/approvals/a2", 200, R"({"id":"a2"})");
  EXPECT_EQ(stage.run({"approve", kId}), 7);
  EXPECT_NE(stage.desk.err.find("x, y"), std::string::npos);
  EXPECT_EQ(stage.run({"approve", kId, "y", "-m", "fine"}), 0);
  EXPECT_EQ(stage.script.calls.back().body, R"({"decision":"approve","comment":"fine"})");
  EXPECT_EQ(stage.run({"reject", kId, "q"}), 7);
}

TEST(ExecResult, HasTheFieldsOfTheContract) {
  const Value run =
      *parse_json(R"({"status":"failed","outputs":{"v":"1"},"duration_ms":12,"id":"x"})");
  const Value jobs = *parse_json(
      R"({"items":[{"key":"b","status":"failed",
          "outputs":{"o":"p"},"attempts":[{"exit_code":1},{"exit_code":3}]},
          {"key":"c","status":"skipped","outputs":{},"attempts":[]}]})");
  EXPECT_EQ(to_json(exec_result(run, jobs)),
            R"({"status":"failed","jobs":{"b":{"status":"failed","exit_code":3,)"
            R"("outputs":{"o":"p"},"attempts":2},)"
            R"("c":{"status":"skipped","exit_code":null,"outputs":{},"attempts":0}},)"
            R"("outputs":{"v":"1"},"duration_ms":12})");
}

}  // namespace
}  // namespace mc::cli
