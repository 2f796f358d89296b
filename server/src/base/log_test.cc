#include "base/log.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace mc {
namespace {
constexpr Instant kAt{1'795'460'495'250};

TEST(Log, WritesOneJsonObjectALine) {
  const std::string line =
      format_log_json(kAt, LogLevel::warn, "a \"b\"\nc\xff", {{"run", "r1"}, {"jobs", 12}});
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  const Result<Value> body = parse_json(std::string_view(line).substr(0, line.size() - 1));
  ASSERT_TRUE(body.ok()) << line;
  EXPECT_EQ(body->string_or("level", ""), "warn");
  EXPECT_EQ(body->string_or("msg", ""), "a \"b\"\nc\xEF\xBF\xBD");
  EXPECT_EQ(body->string_or("run", ""), "r1");
  EXPECT_EQ(body->int_or("jobs", 0), 12);
  EXPECT_EQ(parse_rfc3339(body->string_or("time", "")), kAt);
}

TEST(Log, TextIsOneLineWhateverIsInIt) {
  const std::string line = format_log_text(kAt, LogLevel::error, "bad\x1b[2J\nline",
                                           {{"who", "two words"}, {"n", 3}, {"x", "w\nz"}}, false);
  EXPECT_EQ(line.substr(12), " error bad [2J line who=\"two words\" n=3 x=\"w\\nz\"\n");
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_NE(format_log_text(kAt, LogLevel::info, "x", {}, true).find('\x1b'), std::string::npos);
}

TEST(Log, LevelsHaveNamesAndAnOrder) {
  EXPECT_EQ(log_level_from_name("WARNING"), LogLevel::warn);
  EXPECT_EQ(log_level_from_name("debug"), LogLevel::debug);
  EXPECT_FALSE(log_level_from_name("loud"));
  set_log(LogLevel::warn, LogForm::json);
  EXPECT_FALSE(logs(LogLevel::info));
  EXPECT_TRUE(logs(LogLevel::error));
  set_log(LogLevel::info, LogForm::automatic);
}

}  // namespace
}  // namespace mc
