#include "cli/follow.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cli/log_tail.h"
#include "cli/script_test.h"

namespace mc::cli {
namespace {

constexpr const char* kId = "01932f4e-7a10-7c3e-8a55-0123456789ab";
const std::string kRunPath = std::string("/api/v1/runs/") + kId;

std::string run_json(const std::string& status) {
  return std::string(R"({"id":")") + kId + R"(","number":3,"workflow":"ci","status":")" + status +
         R"("})";
}

// A run that is seen queued, running and over.
class FollowRun : public ::testing::Test {
 protected:
  FollowRun() {
    const std::string events = "GET " + kRunPath + "/events?after=";
    stage.script.on(events + "0", 200, R"({"items":[]})");
    stage.script.on(
        events + "0", 200,
        R"({"items":[{"seq":1,"type":"run.started","time":"2026-11-23T12:00:00Z","data":{}},
        {"seq":2,"type":"run.finished","time":"2026-11-23T12:00:01Z",
        "data":{"status":"succeeded"}}]})");
    stage.script.on(events + "2", 200, R"({"items":[]})");
    stage.script.on("GET " + kRunPath, 200, run_json("running"));
    stage.script.on("GET " + kRunPath, 200, run_json("succeeded"));
    stage.script.on("GET " + kRunPath + "/jobs", 200, R"({"items":[{"key":"b","needs":[]}]})");
  }
  test::Stage stage;
};

TEST_F(FollowRun, GoesOnWhenTheServerIsAwayForAMoment) {
  stage.script.down_for = 3;
  EXPECT_EQ(stage.run({"runs", "watch", kId}), 0);
  EXPECT_EQ(stage.desk.out,
            "● run running\n✔ run succeeded\nhttp://test/runs/" + std::string(kId) + "\n");
}

TEST_F(FollowRun, WaitsAtTheServerSoThatTheEndIsToldAtOnce) {
  EXPECT_EQ(stage.run({"runs", "watch", kId}), 0);
  EXPECT_TRUE(std::ranges::any_of(stage.script.calls, [](const client::Call& call) {
    return call.path.starts_with(kRunPath + "?wait=");
  }));
}

TEST_F(FollowRun, PutsTheResultAloneOnStandardOutput) {
  EXPECT_EQ(stage.run({"runs", "watch", kId, "-o", "ndjson"}), 0);
  EXPECT_EQ(stage.desk.out, run_json("succeeded") + "\n");
  EXPECT_EQ(stage.desk.err, "● run running\n✔ run succeeded\n");
}

TEST_F(FollowRun, DrawsATreeOnATerminalAndWipesTheOneBefore) {
  stage.desk.io.out_terminal = true;
  stage.desk.variables["NO_COLOR"] = "1";
  EXPECT_EQ(stage.run({"runs", "watch", kId}), 0);
  EXPECT_NE(stage.desk.out.find("● run #3 ci running"), std::string::npos) << stage.desk.out;
  EXPECT_NE(stage.desk.out.find("\x1b[2A\x1b[J✔ run #3 ci succeeded"), std::string::npos)
      << stage.desk.out;
}

TEST_F(FollowRun, ADumbTerminalGetsLines) {
  stage.desk.io.out_terminal = true;
  stage.desk.variables["TERM"] = "dumb";
  EXPECT_EQ(stage.run({"runs", "watch", kId}), 0);
  EXPECT_EQ(stage.desk.out.find('\x1b'), std::string::npos);
}

TEST_F(FollowRun, AnErrorOfTheServerEndsIt) {
  stage.script.replies["GET " + kRunPath] = {{403, R"({"code":"forbidden","detail":"no"})"}};
  EXPECT_EQ(stage.run({"runs", "watch", kId}), 4);
}

TEST(LogTail, HandsOnWholeLinesWhateverThePieces) {
  test::Script script;
  Server server(std::make_unique<test::ScriptTransport>(script));
  const std::string what = "GET /api/v1/runs/r/jobs/t%5Ba%5D/logs?attempt=2";
  for (const char* piece : {"a", "b\r\nc\n", "\n", "d"}) script.on(what, 206, piece);
  script.on(what, 416, "");
  std::string text;
  const LogTail::Print print = [&text](const std::string& line) { text += line + ";"; };
  LogTail tail("r", "t[a]", 2);
  ASSERT_TRUE(*tail.read(server, print, Paint{}));
  EXPECT_EQ(text, "t[a] │ ab;t[a] │ c;t[a] │ ;");
  EXPECT_EQ(script.calls.back().headers.at(0).second, "bytes=8-");
  tail.finish(print, Paint{});
  EXPECT_EQ(text, "t[a] │ ab;t[a] │ c;t[a] │ ;t[a] │ d;");
}

TEST(LogTail, SkipsWhatItHasSeenWhenRangesAreIgnored) {
  test::Script script;
  Server server(std::make_unique<test::ScriptTransport>(script));
  const std::string what = "GET /api/v1/runs/r/jobs/b/logs?attempt=1";
  script.on(what, 200, "one\n");
  script.on(what, 200, "one\ntwo\n");
  std::string text;
  LogTail tail("r", "b", 1);
  ASSERT_TRUE(
      tail.read(server, [&text](const std::string& line) { text += line + ";"; }, Paint{}).ok());
  EXPECT_EQ(text, "b │ one;b │ two;");
}

}  // namespace
}  // namespace mc::cli
