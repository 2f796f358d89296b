#include "redis/refusal.h"

#include <gtest/gtest.h>

namespace mc::redis {
namespace {

Error refused(const std::string& text) {
  Place place = *parse_url("redis://ada:hunter2@cache:7/5");
  return refusal({.kind = Reply::Kind::error, .text = text}, place);
}

TEST(Refusal, SaysWhetherToWaitOrWhatToMend) {
  const std::vector<std::tuple<std::string, Code, std::string>> cases = {
      {"WRONGPASS invalid username-password pair", Code::invalid_setting, "REDIS_URL is wrong"},
      {"NOAUTH HELLO must be called with the client already authenticated", Code::invalid_setting,
       "redis://:PASSWORD@HOST"},
      {"NOPERM this user has no permissions", Code::invalid_setting, "~maestro:*"},
      {"ERR DB index is out of range", Code::invalid_setting, "no database 5"},
      {"ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'ada' 'hunter2'",
       Code::invalid_setting, "Redis 6"},
      {"NOPROTO unsupported protocol version", Code::invalid_setting, "Redis 6"},
      {"MOVED 3999 10.0.0.1:6381", Code::invalid_setting, "Redis Cluster"},
      {"OOM command not allowed", Code::store_failed, "maxmemory"},
      {"READONLY You can't write against a read only replica.", Code::store_failed, "primary"},
      {"LOADING Redis is loading the dataset in memory", Code::store_failed, "loading"},
      {"ERR max number of clients reached", Code::unreachable, "maxclients"},
      {"ERR hunter2", Code::unreachable, "(ERR)"},
      {"hunter2", Code::unreachable, "no reason"},
  };
  for (const auto& [text, code, told] : cases) {
    const Error error = refused(text);
    EXPECT_EQ(error.code, code) << text;
    EXPECT_NE(error.message.find(told), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("redis://cache:7/5"), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find("hunter2"), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find("ada"), std::string::npos) << error.message;
  }
}

}  // namespace
}  // namespace mc::redis
