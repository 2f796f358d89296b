#include "config/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/file.h"

namespace mc::config {
namespace {
using testing::HasSubstr;

std::string origin(const Settings& settings, std::string_view name) {
  for (const auto& [key, value] : settings.origins) {
    if (key == name) return value;
  }
  return {};
}

std::string messages(const Error& error) {
  std::string all;
  for (const Problem& problem : error.problems) all += problem.message + " " + problem.hint + "\n";
  return all;
}

TEST(Settings, TheDefaultsAreFine) {
  const Result<Settings> settings = read_settings({});
  ASSERT_TRUE(settings.ok()) << messages(settings.error());
  EXPECT_EQ(settings->listen, "127.0.0.1:4000");
  EXPECT_EQ(settings->lease, Millis(15'000));
  EXPECT_EQ(settings->rate_limit, 100'000);
  EXPECT_EQ(origin(*settings, "listen"), "default");
}

TEST(Settings, FlagOverVariableOverFileOverDefault) {
  Sources sources;
  sources.file_name = "c.yaml";
  sources.file_text = "# mine\nlisten: 1.1.1.1:1\nrate_limit: 7 # few\nfeature_flags: 'a, b'\n";
  EXPECT_EQ(read_settings(sources)->listen, "1.1.1.1:1");
  EXPECT_EQ(origin(*read_settings(sources), "listen"), "c.yaml:2");
  EXPECT_EQ(read_settings(sources)->rate_limit, 7);
  EXPECT_EQ(read_settings(sources)->feature_flags, (std::vector<std::string>{"a", "b"}));
  sources.environment = {{"MAESTRO_LISTEN", "2.2.2.2:2"}, {"PATH", "/bin"}};
  EXPECT_EQ(read_settings(sources)->listen, "2.2.2.2:2");
  sources.flags = {{"--listen", "3.3.3.3:3"}};
  EXPECT_EQ(read_settings(sources)->listen, "3.3.3.3:3");
  sources.environment = {{"MAESTRO_RATE_LIMIT", ""}};
  EXPECT_EQ(read_settings(sources)->rate_limit, 7) << "an empty variable is none";
}

TEST(Settings, AnEmptyFlagIsRefusedAnEmptyVariableIsNone) {
  Sources sources;
  sources.environment = {{"MAESTRO_LISTEN", ""}};
  EXPECT_TRUE(read_settings(sources));
  sources.flags = {{"--data", ""}};
  const Result<Settings> refused = read_settings(sources);
  ASSERT_FALSE(refused);
  EXPECT_THAT(messages(refused.error()), HasSubstr("has no value"));
}

TEST(Settings, AVariableMayNameAFileButNotBoth) {
  Sources sources;
  sources.read_file = [](const std::string& path) -> Result<std::string> {
    if (path == "/run/jwt") return std::string("from the file\n");
    return Error{Code::not_found, path + " is not there", {}};
  };
  sources.environment = {{"JWT_SECRET_FILE", "/run/jwt"}};
  EXPECT_EQ(read_settings(sources)->jwt_secret, "from the file");
  sources.environment.emplace_back("JWT_SECRET", "hunter2");
  const Result<Settings> both = read_settings(sources);
  ASSERT_FALSE(both.ok());
  EXPECT_THAT(messages(both.error()), HasSubstr("JWT_SECRET_FILE"));
  EXPECT_THAT(messages(both.error()), testing::Not(HasSubstr("hunter2")));
  sources.environment = {{"REDIS_URL_FILE", "/none"}};
  EXPECT_THAT(messages(read_settings(sources).error()), HasSubstr("/none is not there"));
}

TEST(Settings, TellsAllThatIsWrongWithHints) {
  Sources sources;
  sources.file_name = "c.yaml";
  sources.file_text = "lisen: x\nrate_limit: many\nlog_level: loud\n";
  sources.environment = {{"MAESTRO_LISTN", "x"}, {"MAESTRO_TOKEN", "t"}, {"MAESTRO_RUN_ID", "r"}};
  sources.flags = {{"--dat", "x"}, {"--drain-timeout", "2 minutes"}};
  const Result<Settings> settings = read_settings(sources);
  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.error().code, Code::invalid_setting);
  const std::string all = messages(settings.error());
  for (const char* part :
       {"c.yaml:1", "did you mean listen?", "c.yaml:2", "many", "c.yaml:3", "MAESTRO_LISTN",
        "did you mean MAESTRO_LISTEN?", "did you mean --data?", "2 minutes"}) {
    EXPECT_THAT(all, HasSubstr(part));
  }
  EXPECT_EQ(settings.error().problems.size(), 6U) << all;
}

TEST(Settings, WeightsOfProjectsAreReadWholeOrRefused) {
  Sources sources;
  EXPECT_TRUE(read_settings(sources)->project_weights.empty());
  sources.environment = {{"MAESTRO_PROJECT_WEIGHTS", "intelgraph=3, default = 1,a.b-c=1000"}};
  EXPECT_EQ(read_settings(sources)->project_weights,
            (std::map<std::string, int>{{"intelgraph", 3}, {"default", 1}, {"a.b-c", 1000}}));
  const std::pair<const char*, const char*> rows[] = {
      {"intelgraph", "PROJECT=WEIGHT is wanted"},
      {"=3", "PROJECT=WEIGHT is wanted"},
      {"a=", "PROJECT=WEIGHT is wanted"},
      {"a=1,", "PROJECT=WEIGHT is wanted"},
      {"Big Name=2", "PROJECT=WEIGHT is wanted"},
      {"a=0", "the weight of a must be a whole number from 1 to 1000"},
      {"a=-1", "the weight of a must be"},
      {"a=1001", "the weight of a must be"},
      {"a=1.5", "the weight of a must be"},
      {"a=99999999999", "the weight of a must be"},
      {"a=1=2", "the weight of a must be"},
      {"a=1,b=2,a=1", "the project a is there twice"},
  };
  for (const auto& [given, wanted] : rows) {
    sources.environment = {{"MAESTRO_PROJECT_WEIGHTS", given}};
    const Result<Settings> refused = read_settings(sources);
    ASSERT_FALSE(refused.ok()) << given;
    EXPECT_THAT(messages(refused.error()),
                HasSubstr(std::string("MAESTRO_PROJECT_WEIGHTS: ") + wanted))
        << given;
  }
}

TEST(Settings, ALeaseOutlivesHeartbeats) {
  Sources sources;
  sources.environment = {{"MAESTRO_LEASE", "5s"}};
  EXPECT_THAT(messages(read_settings(sources).error()), HasSubstr("heartbeat"));
}

TEST(Settings, TheValueOfASecretIsNeverShown) {
  Sources sources;
  sources.environment = {{"POSTGRES_URL", "hunter2"}};
  const Result<Settings> settings = read_settings(sources);
  ASSERT_FALSE(settings.ok());
  EXPECT_THAT(messages(settings.error()), HasSubstr("POSTGRES_URL"));
  EXPECT_THAT(settings.error().message + messages(settings.error()),
              testing::Not(HasSubstr("hunter2")));
}

TEST(Cluster, WantsItsOwnLongSecrets) {
  Settings settings;
  const std::string good = "k3J9vX2mQ8rT5wZ1bN6yH4cF7gL0pS9d";
  EXPECT_THAT(messages(check_for_cluster(settings).error()),
              testing::AllOf(HasSubstr("POSTGRES_URL is not set"), HasSubstr("JWT_SECRET is not"),
                             HasSubstr("SESSION_SECRET is not")));
  settings.postgres_url = "postgres://db/x";
  settings.jwt_secret = settings.session_secret = good;
  EXPECT_TRUE(check_for_cluster(settings).ok());
  for (const std::string& bad :
       {good.substr(1), std::string("change-me-change-me-change-me-xx"), std::string(40, 'a')}) {
    settings.jwt_secret = bad;
    const Status status = check_for_cluster(settings);
    ASSERT_FALSE(status.ok()) << bad;
    EXPECT_THAT(status.error().message, HasSubstr("JWT_SECRET"));
    EXPECT_THAT(status.error().message, testing::Not(HasSubstr(bad)));
  }
}

TEST(SettingsFile, RefusesWhatItDoesNotUnderstand) {
  for (const char* bad : {"a b: 1", "  listen: x", "listen x", "listen: \"x", "listen: 'x' y",
                          "listen: a\nlisten: b", "- listen"}) {
    EXPECT_FALSE(read_settings_file("f", bad).ok()) << bad;
  }
  const auto lines = read_settings_file("f", "---\n\nlisten: \"a # b\" # c\r\ndata: x#y\n");
  ASSERT_TRUE(lines.ok());
  EXPECT_EQ((*lines)[0].value, "a # b");
  EXPECT_EQ((*lines)[1].value, "x#y");
  EXPECT_EQ((*lines)[1].line, 4);
}

TEST(SettingsTable, NamesAreUniqueAndTheManualIsMadeFromIt) {
  std::set<std::string_view> seen;
  for (const Setting& setting : settings_table()) {
    EXPECT_TRUE(seen.insert(setting.name).second) << setting.name;
    EXPECT_TRUE(seen.insert(setting.variable).second) << setting.variable;
    EXPECT_FALSE(setting.description.empty());
    EXPECT_FALSE(setting.secret && !setting.fallback.empty()) << setting.name;
  }
  std::string path = "docs/reference/settings.md";
  for (int up = 0; up < 8 && !read_file(path, 1 << 20).ok(); ++up) path = "../" + path;
  const Result<std::string> manual = read_file(path, 1 << 20);
  ASSERT_TRUE(manual.ok()) << path;
  EXPECT_EQ(*manual, settings_markdown())
      << "write settings_markdown() to docs/reference/settings.md";
}

}  // namespace
}  // namespace mc::config
