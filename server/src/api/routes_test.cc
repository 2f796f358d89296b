#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <type_traits>

#include "api/api.h"
#include "api/body.h"
#include "api/route.h"
#include "base/json.h"
#include "base/text.h"

namespace mc::api {
namespace {

static_assert(
    !std::is_constructible_v<Route, const char*, const char*, Handler, const char*, const char*>,
    "a row without a permission must not compile");

TEST(Routes, EachRowIsReachedByItsOwnPath) {
  for (const Route& route : routes()) {
    std::string path;
    for (const std::string& segment : split(route.pattern, '/')) {
      if (!path.empty() || !segment.empty()) path += "/";
      path += segment.starts_with('{') ? "x" : segment;
    }
    const Match found = match(route.method, path + "?a=b");
    ASSERT_NE(found.route, nullptr) << route.method << " " << path;
    EXPECT_EQ(found.route, &route) << route.method << " " << path;
    EXPECT_EQ(match("OPTIONS", path).route, nullptr);
    EXPECT_THAT(match("OPTIONS", path).allowed, testing::Contains(std::string(route.method)));
  }
}

TEST(Routes, OnlyProbesAndSignedHooksAreOpen) {
  std::set<std::string_view> open;
  for (const Route& route : routes()) {
    if (route.permission == auth::Permission::open) open.insert(route.pattern);
    if (route.pattern.starts_with("/api/v1/worker/"))
      EXPECT_EQ(route.permission, auth::Permission::work) << route.pattern;
    const bool writes = route.method != "GET";
    if (writes && route.pattern != "/api/v1/workflows/validate")
      EXPECT_NE(route.permission, auth::Permission::read) << route.pattern;
  }
  EXPECT_THAT(
      open, testing::UnorderedElementsAre("/healthz", "/health", "/api/health", "/readyz", "/ready",
                                          "/api/ready", "/metrics", "/docs/errors",
                                          "/api/v1/hooks/{workflow}", "/api/v1/webhooks/github"));
}

TEST(Routes, SegmentsAreDecodedAfterTheyAreSplit) {
  const Match cell = match("GET", "/api/v1/runs/7/jobs/test%5Bref=a%2Fb%5D/logs?tail=5");
  ASSERT_NE(cell.route, nullptr);
  EXPECT_EQ(cell.params, (std::vector<std::string>{"7", "test[ref=a/b]"}));
  EXPECT_EQ(match("GET", "/api/v1/runs//jobs").route, nullptr);
  EXPECT_EQ(match("GET", "/api/v1/runs/7/jobs/").route, match("GET", "/api/v1/runs/7/jobs").route);
  EXPECT_TRUE(match("GET", "/api/v2/runs").allowed.empty());
  EXPECT_EQ(match("HEAD", "/api/v1/runs").route, match("GET", "/api/v1/runs").route);
}

TEST(Openapi, DescribesEveryRouteAndNothingElse) {
  const Result<Value> parsed = parse_json(openapi_json("1.2.3"));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  const Value& description = *parsed;
  EXPECT_EQ(description.string_or("openapi", ""), "3.1.0");
  std::set<std::string> described, wanted, operations;
  for (const Member& path : description.find("paths")->as_object()) {
    for (const Member& operation : path.second.as_object()) {
      described.insert(operation.first + " " + path.first);
      EXPECT_TRUE(operations.insert(operation.second.string_or("operationId", "")).second)
          << path.first;
    }
  }
  for (const Route& route : routes()) {
    if (!route.details.alias)
      wanted.insert(to_lower(route.method) + " " + std::string(route.pattern));
  }
  EXPECT_EQ(described, wanted);
  EXPECT_FALSE(operations.contains(""));
}

void collect_refs(const Value& value, std::set<std::string>& refs) {
  if (value.is_object()) {
    for (const Member& member : value.as_object()) {
      if (member.first == "$ref") refs.insert(member.second.as_string());
      collect_refs(member.second, refs);
    }
  } else if (value.is_list()) {
    for (const Value& item : value.as_list()) collect_refs(item, refs);
  }
}

TEST(Openapi, EverySchemaIsThereAndUsed) {
  const Value description = *parse_json(openapi_json("1"));
  std::set<std::string> refs, schemas;
  collect_refs(description, refs);
  for (const Member& schema : description.find("components")->find("schemas")->as_object())
    schemas.insert("#/components/schemas/" + schema.first);
  EXPECT_EQ(refs, schemas);
}

TEST(Body, NamesEverythingThatIsWrong) {
  Body body(R"({"nmae":"x","count":"three","flag":1})", {"name", "count", "flag"});
  body.require("name");
  body.integer("count", 0, 0, 10);
  body.boolean("flag", false);
  const Status status = body.status();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::unknown_field);
  ASSERT_EQ(status.error().problems.size(), 4U);
  EXPECT_EQ(status.error().problems[0].hint, "did you mean `name`?");
  EXPECT_EQ(status.error().problems[1].code, "missing_field");
  EXPECT_EQ(Body("[1]", {}).status().error().code, Code::invalid_field);
  EXPECT_EQ(Body("{", {}).status().error().code, Code::malformed_json);
  EXPECT_TRUE(Body("", {"name"}).status().ok());
}

}  // namespace
}  // namespace mc::api
