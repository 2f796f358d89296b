#include "cli/target.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/rng.h"
#include "cli/script_test.h"

namespace mc::cli {
namespace {

class FindTarget : public ::testing::Test {
 protected:
  FindTarget() {
    root = std::filesystem::temp_directory_path() /
           ("maestro-target-" + std::to_string(random_seed()));
    std::filesystem::create_directories(root / "data" / "maestro");
    desk.variables = {{"XDG_CONFIG_HOME", (root / "config").string()},
                      {"XDG_DATA_HOME", (root / "data").string()},
                      {"HOME", root.string()}};
  }
  ~FindTarget() override { std::filesystem::remove_all(root); }
  std::string file(const std::string& name, const std::string& text) {
    const std::string path = (root / name).string();
    EXPECT_TRUE(write_file(path, text, true).ok());
    return path;
  }
  void start_local_server() {
    file("data/maestro/server.json", R"({"url":"http://127.0.0.1:4000/","pid":1})");
    file("data/maestro/admin.token", "local-token\n");
  }
  std::filesystem::path root;
  test::Desk desk;
};

TEST_F(FindTarget, SaysThatNoServerIsKnown) {
  EXPECT_EQ(find_target(desk.io, {}).error().code, Code::unreachable);
}

TEST_F(FindTarget, FallsBackToTheLocalServer) {
  start_local_server();
  const Result<Target> target = find_target(desk.io, {});
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->url, "http://127.0.0.1:4000");
  EXPECT_EQ(target->token, "local-token");
}

TEST_F(FindTarget, PrefersFlagsThenEnvironmentThenContexts) {
  start_local_server();
  const std::string token = file("ctx.token", "ctx-token");
  ASSERT_TRUE(
      save_contexts(desk.io,
                    {"prod", {{"prod", "https://prod", token}, {"dev", "https://dev", token}}})
          .ok());
  EXPECT_EQ(find_target(desk.io, {})->url, "https://prod");
  EXPECT_EQ(find_target(desk.io, {.context = "dev"})->url, "https://dev");
  desk.variables["MAESTRO_URL"] = "https://env";
  desk.variables["MAESTRO_TOKEN"] = "env-token";
  EXPECT_EQ(find_target(desk.io, {})->url, "https://env");
  EXPECT_EQ(find_target(desk.io, {})->token, "env-token");
  EXPECT_EQ(find_target(desk.io, {.context = "dev"})->url, "https://dev");
  const Result<Target> flag = find_target(desk.io, {.url = "https://flag", .token_file = token});
  ASSERT_TRUE(flag.ok());
  EXPECT_EQ(flag->url, "https://flag");
  EXPECT_EQ(flag->token, "ctx-token");
}

TEST_F(FindTarget, GivesTheLocalTokenToTheLocalServerOnly) {
  start_local_server();
  EXPECT_EQ(find_target(desk.io, {.url = "http://127.0.0.1:4000"})->token, "local-token");
  EXPECT_EQ(find_target(desk.io, {.url = "http://elsewhere"}).error().code, Code::unauthenticated);
}

TEST_F(FindTarget, NamesAContextThatIsMissing) {
  ASSERT_TRUE(save_contexts(desk.io, {"", {{"staging", "https://s", ""}}}).ok());
  const Result<Target> target = find_target(desk.io, {.context = "stagin"});
  ASSERT_FALSE(target.ok());
  EXPECT_EQ(target.error().code, Code::usage);
  EXPECT_NE(target.error().message.find("did you mean `staging`"), std::string::npos);
}

TEST_F(FindTarget, KeepsContextsAsTheyWere) {
  const Contexts contexts{"a", {{"a", "https://a:8443", "/x y/t"}, {"b", "http://b", ""}}};
  ASSERT_TRUE(save_contexts(desk.io, contexts).ok());
  const Result<Contexts> read = load_contexts(desk.io);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->current, "a");
  ASSERT_EQ(read->items.size(), 2U);
  EXPECT_EQ(read->items[0].url, "https://a:8443");
  EXPECT_EQ(read->items[0].token_file, "/x y/t");
  const auto mode = std::filesystem::status(contexts_path(desk.io)).permissions();
  EXPECT_EQ(mode & std::filesystem::perms::group_all, std::filesystem::perms::none);
}

TEST_F(FindTarget, NamesTheLineOfABadContextsFile) {
  std::filesystem::create_directories(root / "config" / "maestro");
  file("config/maestro/contexts.yaml", "current: a\nnonsense\n");
  const Result<Target> target = find_target(desk.io, {});
  ASSERT_FALSE(target.ok());
  EXPECT_NE(target.error().message.find("contexts.yaml:2"), std::string::npos);
}

}  // namespace
}  // namespace mc::cli
