#include "api/query.h"

#include <gtest/gtest.h>

#include "api/cursor.h"

namespace mc::api {
namespace {

TEST(RunQuery, ReadsEveryKey) {
  const auto filter = parse_run_query(
      "status:failed status:timed_out workflow:ci actor:ada ref:\"refs/heads/my branch\" "
      "commit:abc trigger:webhook label.team:api label.x:\"a \\\" b\" run_key:k "
      "created:>2026-01-01 created:<=2026-02-01T00:00:00Z "
      "rerun_of:01890a5d-ac96-774b-bcce-b302099a8057");
  ASSERT_TRUE(filter.ok()) << filter.error().message;
  const db::RunQuery& query = filter->query;
  EXPECT_EQ(query.statuses, (std::vector{RunStatus::failed, RunStatus::timed_out}));
  EXPECT_EQ(query.workflow, "ci");
  EXPECT_EQ(query.actor, "ada");
  EXPECT_EQ(query.ref, "refs/heads/my branch");
  EXPECT_EQ(query.commit, "abc");
  EXPECT_EQ(query.trigger, TriggerKind::webhook);
  EXPECT_EQ(query.run_key, "k");
  EXPECT_EQ(query.created_after, *parse_rfc3339("2026-01-01T00:00:00Z"));
  EXPECT_EQ(query.created_before, *parse_rfc3339("2026-02-01T00:00:00.001Z"));
  EXPECT_TRUE(query.rerun_of);
  ASSERT_EQ(query.labels.size(), 2U);
  EXPECT_EQ(query.labels[1], std::pair(std::string("x"), std::string("a \" b")));
  EXPECT_FALSE(filter->nothing);
}

TEST(RunQuery, NothingAsksForEverything) {
  for (const char* text : {"", "   "}) {
    const auto filter = parse_run_query(text);
    ASSERT_TRUE(filter.ok());
    EXPECT_TRUE(filter->query.statuses.empty());
    EXPECT_FALSE(filter->nothing);
  }
}

TEST(RunQuery, OutcomesAreSetsOfStatusesAndMeetStatuses) {
  EXPECT_EQ(parse_run_query("outcome:failed")->query.statuses,
            (std::vector{RunStatus::failed, RunStatus::timed_out, RunStatus::denied}))
      << "outcome failed";
  EXPECT_EQ(parse_run_query("outcome:failed status:denied status:running")->query.statuses,
            std::vector{RunStatus::denied});
  EXPECT_TRUE(parse_run_query("outcome:failed status:running")->nothing);
  EXPECT_TRUE(parse_run_query("workflow:a workflow:b")->nothing);
  EXPECT_EQ(parse_run_query("outcome:canceled")->query.statuses, std::vector{RunStatus::cancelled});
}

TEST(RunQuery, SaysWhereAndWhatIsWrong) {
  struct Row {
    const char* text;
    int column;
    const char* hint;
  };
  const Row rows[] = {{"statsu:failed", 1, "status"},
                      {"status:failde", 8, "failed"},
                      {"workflow:ci nonsense", 13, "workflow:nonsense"},
                      {"workflow:ci  status:", 21, ""},
                      {"ref:\"open", 5, ""},
                      {"ref:\"a\"b", 8, ""},
                      {"created:2026-01-01", 9, "created:>"},
                      {"created:>yesterday", 9, "created:>"},
                      {"label:x", 1, "label.NAME"},
                      {"rerun_of:7", 10, ""},
                      {"trigger:webhok", 9, "webhook"},
                      {"outcome:fialed", 9, "failed"}};
  for (const Row& row : rows) {
    const auto filter = parse_run_query(row.text);
    ASSERT_FALSE(filter.ok()) << row.text;
    EXPECT_EQ(filter.error().code, Code::invalid_query) << row.text;
    ASSERT_EQ(filter.error().problems.size(), 1U);
    EXPECT_EQ(filter.error().problems[0].column, row.column) << row.text;
    EXPECT_NE(filter.error().problems[0].hint.find(row.hint), std::string::npos)
        << row.text << ": " << filter.error().problems[0].hint;
  }
  EXPECT_FALSE(parse_run_query(std::string(kQueryBytesMax + 1, ' ')).ok());
}

TEST(Cursor, IsTakenByItsOwnListOnly) {
  const std::string cursor = make_cursor("runs", "42");
  EXPECT_EQ(read_cursor("runs", cursor).value(), "42");
  EXPECT_EQ(read_cursor("runs", "").value(), "");
  for (const std::string& wrong :
       {std::string("abc"), std::string("!!"), cursor + "A", make_cursor("workflows", "42"),
        make_cursor("runs", ""), std::string(2000, 'A')}) {
    const auto read = read_cursor("runs", wrong);
    ASSERT_FALSE(read.ok()) << wrong;
    EXPECT_EQ(read.error().code, Code::invalid_cursor);
  }
}

}  // namespace
}  // namespace mc::api
