#include "kube/mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace mc::kube {
namespace {
using testing::HasSubstr;

Value json(const std::string& text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? *value : Value();
}
std::string event(const std::string& type, const std::string& name, int version) {
  return R"({"type":")" + type + R"(","object":{"metadata":{"name":")" + name +
         R"(","resourceVersion":")" + std::to_string(version) + "\"}}}\n";
}
std::string names(const Mirror& mirror) {
  std::string out;
  for (const auto& [name, object] : mirror.objects()) out += name + " ";
  return out;
}

class Watching : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(mirror_
                    .listed(json(R"({"metadata":{"resourceVersion":"10"},)"
                                 R"("items":[{"metadata":{"name":"a"}}]})"))
                    .ok());
  }
  Mirror mirror_{"/jobs", "x=y"};
};

TEST(Mirror, ListsPageByPageAndThenWatches) {
  Mirror mirror("/jobs", "x=y,z=1");
  EXPECT_EQ(mirror.next_path(), "/jobs?labelSelector=x%3Dy%2Cz%3D1&limit=500");
  ASSERT_TRUE(mirror
                  .listed(json(R"({"metadata":{"resourceVersion":"7","continue":"c/1"},)"
                               R"("items":[{"metadata":{"name":"a"}}]})"))
                  .ok());
  EXPECT_THAT(mirror.next_path(), HasSubstr("&continue=c%2F1"));
  EXPECT_FALSE(mirror.complete());
  ASSERT_TRUE(mirror
                  .listed(json(R"({"metadata":{"resourceVersion":"7"},)"
                               R"("items":[{"metadata":{"name":"b"}}]})"))
                  .ok());
  EXPECT_TRUE(mirror.watching());
  EXPECT_EQ(names(mirror), "a b ");
  EXPECT_THAT(mirror.next_path(), HasSubstr("watch=true&allowWatchBookmarks=true"));
  EXPECT_THAT(mirror.next_path(), HasSubstr("&resourceVersion=7"));
}

TEST(Mirror, APageWhoseTokenIsTooOldBeginsAgain) {
  Mirror mirror("/jobs", "x=y");
  ASSERT_TRUE(mirror
                  .listed(json(R"({"metadata":{"resourceVersion":"7","continue":"c"},)"
                               R"("items":[{"metadata":{"name":"a"}}]})"))
                  .ok());
  mirror.refused(410);
  EXPECT_EQ(mirror.next_path(), "/jobs?labelSelector=x%3Dy&limit=500");
  ASSERT_TRUE(mirror.listed(json(R"({"metadata":{"resourceVersion":"8"},"items":null})")).ok());
  EXPECT_EQ(names(mirror), "");
}

TEST(Mirror, WhatIsNoListChangesNothing) {
  Mirror mirror("/jobs", "x=y");
  EXPECT_FALSE(mirror.listed(json(R"({"items":[]})")).ok());
  EXPECT_FALSE(mirror.listed(json(R"({"metadata":{"resourceVersion":"1"},"items":3})")).ok());
  EXPECT_FALSE(mirror.watching());
}

TEST_F(Watching, EventsMoveTheCopyAndTheVersionOn) {
  EXPECT_TRUE(mirror_.feed(event("ADDED", "b", 11) + event("MODIFIED", "b", 12) +
                           event("DELETED", "a", 13)));
  EXPECT_EQ(names(mirror_), "b ");
  EXPECT_EQ(mirror_.version(), "13");
}

TEST_F(Watching, BookmarksMoveTheVersionOnAlone) {
  const std::size_t before = mirror_.changes();
  EXPECT_TRUE(mirror_.feed(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"99"}}})"
                           "\n"));
  mirror_.ended();
  EXPECT_THAT(mirror_.next_path(), HasSubstr("resourceVersion=99"));
  EXPECT_EQ(mirror_.changes(), before);
}

TEST_F(Watching, LinesMayComeInAnyPieces) {
  const std::string text = event("ADDED", "b", 11) + "\n" + event("ADDED", "c", 12);
  for (const char c : text) EXPECT_TRUE(mirror_.feed({&c, 1}));
  EXPECT_EQ(names(mirror_), "a b c ");
}

TEST_F(Watching, HalfALineAtTheEndIsNoEvent) {
  EXPECT_TRUE(mirror_.feed(event("ADDED", "b", 11) + event("ADDED", "c", 12).substr(0, 30)));
  mirror_.ended();
  EXPECT_THAT(mirror_.next_path(), HasSubstr("resourceVersion=11"));
  EXPECT_TRUE(mirror_.feed(event("ADDED", "c", 12)));
  EXPECT_EQ(names(mirror_), "a b c ");
}

TEST_F(Watching, AForgottenVersionListsAgainAndKeepsTheCopyMeanwhile) {
  EXPECT_FALSE(mirror_.feed(
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","metadata":{}}})"
      "\n"));
  EXPECT_FALSE(mirror_.watching());
  EXPECT_EQ(names(mirror_), "a ");
  ASSERT_TRUE(mirror_
                  .listed(json(R"({"metadata":{"resourceVersion":"50"},)"
                               R"("items":[{"metadata":{"name":"z"}}]})"))
                  .ok());
  EXPECT_EQ(names(mirror_), "z ");
  EXPECT_THAT(mirror_.next_path(), HasSubstr("resourceVersion=50"));
}

TEST_F(Watching, ARefusalWith410ListsAgainOthersDoNot) {
  mirror_.refused(500);
  EXPECT_TRUE(mirror_.watching());
  mirror_.refused(410);
  EXPECT_FALSE(mirror_.watching());
}

TEST_F(Watching, WhatCannotBeReadListsAgain) {
  EXPECT_FALSE(mirror_.feed("{\"type\":\n"));
  EXPECT_FALSE(mirror_.watching());
}

TEST_F(Watching, ALineWithoutEndIsBounded) {
  const std::string much(kWatchLineMax / 4, 'x');
  bool going_on = true;
  for (int i = 0; i < 5 && going_on; ++i) going_on = mirror_.feed(much);
  EXPECT_FALSE(going_on);
}

}  // namespace
}  // namespace mc::kube
