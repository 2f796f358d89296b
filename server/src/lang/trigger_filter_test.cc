#include "lang/trigger_filter.h"

#include <gtest/gtest.h>

namespace mc::lang {
namespace {
RefChange branch(std::string name, std::vector<std::string> paths = {"README.md"}) {
  return {.branch = std::move(name), .paths = std::move(paths), .paths_known = true};
}
RefChange tag(std::string name) { return {.tag = std::move(name)}; }

TEST(TriggerFilter, WithoutAFilterTakesAll) {
  EXPECT_TRUE(takes_change({}, branch("x")));
  EXPECT_TRUE(takes_change({}, tag("v1")));
}

TEST(TriggerFilter, TakesTheNamedKindOfRefOnly) {
  EXPECT_TRUE(takes_change({.branches = {"main", "release/*"}}, branch("release/1")));
  EXPECT_FALSE(takes_change({.branches = {"main", "release/*"}}, branch("release/1/2")));
  EXPECT_FALSE(takes_change({.branches = {"main"}}, tag("main")));
  EXPECT_FALSE(takes_change({.tags = {"v*"}}, branch("v1")));
  EXPECT_TRUE(takes_change({.tags = {"v*"}}, tag("v1")));
  EXPECT_TRUE(takes_change({.branches = {"main"}, .tags = {"v*"}}, tag("v1")));
  EXPECT_FALSE(takes_change({.branches_ignore = {"wip/**"}}, branch("wip/a/b")));
  EXPECT_TRUE(takes_change({.branches_ignore = {"wip/**"}}, branch("main")));
}

TEST(TriggerFilter, LaterPatternsTakeEarlierOnesBack) {
  const PushTrigger trigger{.branches = {"release/**", "!release/**-alpha", "release/9-alpha"}};
  EXPECT_TRUE(takes_change(trigger, branch("release/1")));
  EXPECT_FALSE(takes_change(trigger, branch("release/1-alpha")));
  EXPECT_TRUE(takes_change(trigger, branch("release/9-alpha")));
}

TEST(TriggerFilter, PathsWantOneFileThatMatters) {
  const PushTrigger server{.paths = {"server/**"}, .paths_ignore = {"**/*.md"}};
  EXPECT_TRUE(takes_change(server, branch("main", {"docs/a", "server/src/a.cc"})));
  EXPECT_FALSE(takes_change(server, branch("main", {"docs/a", "server/README.md"})));
  EXPECT_FALSE(takes_change(server, branch("main", {})));
  EXPECT_TRUE(takes_change(server, RefChange{.branch = "main"})) << "the forge did not say";
  EXPECT_TRUE(takes_change(server, tag("v1")));
  EXPECT_FALSE(takes_change({.paths_ignore = {"docs/**"}}, branch("main", {"docs/a", "docs/b"})));
}
}  // namespace
}  // namespace mc::lang
