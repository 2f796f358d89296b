#include "cli/reference.h"

#include <gtest/gtest.h>

#include "cli/script_test.h"

namespace mc::cli {
namespace {

constexpr const char* kId = "01932f4e-7a10-7c3e-8a55-0123456789ab";

TEST(ParseReference, TakesEveryFormPeopleUse) {
  using Kind = RunReference::Kind;
  struct Row {
    std::string text;
    Kind kind;
    std::string found;
    std::int64_t number;
    std::string job;
  };
  const std::string id = kId;
  const Row rows[] = {
      {id, Kind::id, id, 0, ""},
      {"01932F4E-7A10-7C3E-8A55-0123456789AB", Kind::id, id, 0, ""},
      {"0193", Kind::prefix, "0193", 0, ""},
      {"01932f4e-7a", Kind::prefix, "01932f4e-7a", 0, ""},
      {"ABCD", Kind::prefix, "abcd", 0, ""},
      {"#12", Kind::number, "", 12, ""},
      {"12", Kind::number, "", 12, ""},
      {"@latest", Kind::latest, "", 0, ""},
      {"@latest:ci", Kind::latest, "ci", 0, ""},
      {"https://maestro.example/runs/" + id, Kind::id, id, 0, ""},
      {"http://127.0.0.1:4000/#/runs/" + id + "?tab=log", Kind::id, id, 0, ""},
      {"http://h/runs/" + id + "/jobs/test%5Ba%3D1%5D", Kind::id, id, 0, "test[a=1]"},
  };
  for (const Row& row : rows) {
    const Result<RunReference> got = parse_reference(row.text);
    ASSERT_TRUE(got.ok()) << row.text;
    EXPECT_EQ(got->kind, row.kind) << row.text;
    EXPECT_EQ(got->text, row.found) << row.text;
    EXPECT_EQ(got->number, row.number) << row.text;
    EXPECT_EQ(got->job, row.job) << row.text;
  }
}

TEST(ParseReference, RefusesWhatNamesNothing) {
  for (const char* text :
       {"", "abc", "xyz!", "#", "#0", "#-1", "#1x", "@late", "http://h/workflows/ci",
        "01932f4e-7a10-7c3e-8a55-0123456789ab0", "#99999999999999999999"}) {
    const Result<RunReference> got = parse_reference(text);
    ASSERT_FALSE(got.ok()) << text;
    EXPECT_EQ(got.error().code, Code::usage);
  }
}

TEST(ParseReference, TakesAJobBehindASlashOnlyWhereAsked) {
  const Result<RunReference> got = parse_reference("@latest/build", true);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->job, "build");
  EXPECT_FALSE(parse_reference("0193/build").ok());
}

class FindRun : public ::testing::Test {
 protected:
  test::Script script;
  Server server{std::make_unique<test::ScriptTransport>(script)};
};

TEST_F(FindRun, LooksThroughPagesForANumber) {
  script.on("GET /api/v1/runs?limit=100", 200,
            R"({"items":[{"id":"aaaa","number":9},{"id":"bbbb","number":8}],"next_cursor":"c=1"})");
  script.on(
      "GET /api/v1/runs?limit=100&cursor=c%3D1", 200,
      R"({"items":[{"id":"cccc","number":5},{"id":"dddd","number":3}],"next_cursor":"more"})");
  const Result<FoundRun> five = find_run(server, "#5");
  ASSERT_TRUE(five.ok());
  EXPECT_EQ(five->id, "cccc");
  script.calls.clear();
  // 4 is not there: the search ends where smaller numbers begin.
  EXPECT_EQ(find_run(server, "#4").error().code, Code::run_not_found);
  EXPECT_EQ(script.calls.size(), 2U);
}

TEST_F(FindRun, WantsAPrefixToBeUnique) {
  script.on("GET /api/v1/runs?limit=100", 200,
            R"({"items":[{"id":"abcd-1"},{"id":"abcd-2"},{"id":"abce-3"}],"next_cursor":null})");
  EXPECT_EQ(find_run(server, "abcd").error().code, Code::conflict);
  EXPECT_EQ(find_run(server, "ABCE")->id, "abce-3");
  EXPECT_EQ(find_run(server, "ffff").error().code, Code::run_not_found);
}

TEST_F(FindRun, SaysWhenThereIsNoLatest) {
  script.on("GET /api/v1/runs?limit=1", 200, R"({"items":[],"next_cursor":null})");
  EXPECT_EQ(find_run(server, "@latest").error().code, Code::run_not_found);
  script.on("GET /api/v1/runs?limit=1&q=workflow%3Aci", 200, R"({"items":[{"id":"r1"}]})");
  EXPECT_EQ(find_run(server, "@latest:ci")->id, "r1");
}

}  // namespace
}  // namespace mc::cli
