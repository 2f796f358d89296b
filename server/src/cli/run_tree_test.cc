#include "cli/run_tree.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/text.h"

namespace mc::cli {
namespace {

const Instant kNow = *parse_rfc3339("2026-11-23T12:01:00Z");

Value run_value(const char* status) {
  Value run = *parse_json(
      R"({"number":7,"workflow":"ci","created_at":"2026-11-23T12:00:00Z","finished_at":null})");
  run.set("status", status);
  return run;
}

Value jobs_value() {
  return *parse_json(R"({"items":[
    {"key":"ship","status":"pending","needs":["build","test[a=1]"]},
    {"key":"build","status":"succeeded","needs":[],"attempt":1,
     "started_at":"2026-11-23T12:00:01Z",
     "finished_at":"2026-11-23T12:00:13Z"},
    {"key":"test[a=1]","status":"running","needs":["build"],"attempt":2,
     "started_at":"2026-11-23T12:00:30Z"},
    {"key":"gate","status":"waiting","reason":"approval","needs":["build"]},
    {"key":"docs","status":"failed","needs":[],"attempt":1,
     "message":"exit code 3","started_at":"2026-11-23T12:00:01Z",
     "finished_at":"2026-11-23T12:00:02Z"}]})");
}

std::string text_of(const RunTree& tree, std::size_t columns, std::size_t rows) {
  return join(tree.lines(kNow, columns, rows, Paint{}), "\n");
}

TEST(RunTree, ShowsJobsBelowWhatTheyNeed) {
  RunTree tree;
  tree.load(run_value("running"), jobs_value());
  EXPECT_EQ(text_of(tree, 80, 24),
            "● run #7 ci running  1m 00s  2/5 jobs\n"
            "  ✔ build  12 s\n"
            "  ✘ docs  1.0 s  exit code 3\n"
            "    ● test[a=1]  30 s try 2\n"
            "    ◔ gate  approval\n"
            "      · ship");
}

TEST(RunTree, FoldsGoodEndingsFirstWhenRoomIsShort) {
  RunTree tree;
  tree.load(run_value("running"), jobs_value());
  EXPECT_EQ(text_of(tree, 80, 5),
            "● run #7 ci running  1m 00s  2/5 jobs\n"
            "  ✔ 1 succeeded\n"
            "  · 1 pending\n"
            "  ✘ docs  1.0 s  exit code 3\n"
            "  … 2 more");
}

TEST(RunTree, NeverExceedsItsRoom) {
  RunTree tree;
  tree.load(run_value("running"), jobs_value());
  for (std::size_t rows = 2; rows < 10; ++rows) {
    for (std::size_t columns = 34; columns < 60; columns += 5) {
      const std::vector<std::string> lines = tree.lines(kNow, columns, rows, Paint{.on = true});
      EXPECT_LE(lines.size(), rows);
      for (std::size_t i = 1; i < lines.size(); ++i) EXPECT_LE(display_width(lines[i]), columns);
    }
  }
}

TEST(RunTree, FollowsEvents) {
  RunTree tree;
  tree.load(run_value("running"), jobs_value());
  const Value finished = *parse_json(
      R"({"seq":9,"type":"job.finished","time":"2026-11-23T12:00:50Z",
          "data":{"job":"test[a=1]","status":"succeeded"}})");
  EXPECT_TRUE(tree.apply(finished));
  EXPECT_EQ(tree.job("test[a=1]")->status, "succeeded");
  EXPECT_EQ(change_line(tree, finished, Paint{}), "✔ test[a=1] succeeded in 20 s");
  EXPECT_EQ(tree.last_seq(), 9);
  EXPECT_TRUE(tree.apply(*parse_json(
      R"({"seq":10,"type":"run.finished","time":"2026-11-23T12:00:51Z",
          "data":{"status":"failed"}})")));
  EXPECT_EQ(tree.status(), "failed");
}

TEST(RunTree, AsksToBeLoadedAgainWhenJobsCameToBe) {
  RunTree tree;
  tree.load(run_value("running"), jobs_value());
  EXPECT_FALSE(tree.apply(*parse_json(R"({"seq":3,"type":"job.expanded","data":{"job":"test"}})")));
  EXPECT_FALSE(tree.apply(*parse_json(R"({"seq":4,"type":"job.ready","data":{"job":"unknown"}})")));
}

TEST(RunTree, SurvivesACycleThatAServerShouldNotSend) {
  RunTree tree;
  tree.load(run_value("running"),
            *parse_json(R"({"items":[{"key":"a","needs":["b"]},{"key":"b","needs":["a"]}]})"));
  EXPECT_EQ(tree.lines(kNow, 80, 24, Paint{}).size(), 3U);
}

}  // namespace
}  // namespace mc::cli
