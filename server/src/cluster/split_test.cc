#include "cluster/split.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "cluster/shards.h"

namespace mc::cluster {
namespace {
using Names = std::vector<std::string>;

Names strings(const std::optional<std::vector<std::string_view>>& items) {
  return items ? Names(items->begin(), items->end()) : Names{"nothing"};
}

TEST(ShardOfTask, IsWhatTheIdBeginsWith) {
  EXPECT_EQ(shard_of_task("s3.0192-aa.0.1"), 3);
  EXPECT_EQ(shard_of_task("s0.x"), 0);
  EXPECT_EQ(shard_of_task("s12.x.0.1"), 12);
  for (const char* id : {"", "s", "s.", "s.1", "s03.x", "s-1.x", "s3x.y", "3.x", "0192-aa.0.1",
                         "s99999999999.x", "s3"})
    EXPECT_FALSE(shard_of_task(id)) << id;
}

TEST(ItemsOf, AreTakenAsTheyStand) {
  EXPECT_EQ(strings(items_of(R"({"tasks":[]})", "tasks")), Names{});
  EXPECT_EQ(strings(items_of(R"({"a":1})", "tasks")), Names{});
  EXPECT_EQ(strings(items_of("{}", "tasks")), Names{});
  EXPECT_EQ(strings(items_of(
                R"( { "x" : {"tasks":[9]} , "tasks" : [ {"a":"]}\"\\"} , 1.50,"," ] } )", "tasks")),
            (Names{R"({"a":"]}\"\\"})", "1.50", R"(",")"}));
  for (const char* wrong : {"", "[]", "{", R"({"tasks":)", R"({"tasks":[)", R"({"tasks":[1)",
                            R"({"tasks":{}})", R"({"tasks":[1,]})", R"({"a":"\)", R"({"a" 1})"})
    EXPECT_FALSE(items_of(wrong, "tasks")) << wrong;
}

Value any_value(Rng& rng, int depth) {
  static const std::vector<std::string> kTexts = {"", "]", "}", "\"", "\\", ",", "a\n", "tasks"};
  switch (rng.below(depth > 0 ? 6 : 4)) {
    case 0: return static_cast<std::int64_t>(rng.below(1'000)) - 500;
    case 1: return rng.chance(0.5);
    case 2: return {};
    case 3: return kTexts[rng.below(kTexts.size())];
    case 4: {
      List list;
      while (rng.chance(0.6)) list.push_back(any_value(rng, depth - 1));
      return list;
    }
    default: {
      Value object = Object{};
      while (rng.chance(0.6))
        object.set(kTexts[rng.below(kTexts.size())], any_value(rng, depth - 1));
      return object;
    }
  }
}

TEST(ItemsOf, AgreeWithTheParser) {
  Rng rng(1);
  for (int round = 0; round < 3'000; ++round) {
    Value body = Object{{"x", any_value(rng, 3)}};
    List tasks;
    while (rng.chance(0.7)) tasks.push_back(any_value(rng, 3));
    body.set("tasks", tasks);
    body.set("y", any_value(rng, 3));
    const std::string text = rng.chance(0.5) ? to_json(body) : to_pretty_json(body);
    const auto items = items_of(text, "tasks");
    ASSERT_TRUE(items) << text;
    ASSERT_EQ(items->size(), tasks.size()) << text;
    for (std::size_t i = 0; i < tasks.size(); ++i) EXPECT_EQ(*parse_json((*items)[i]), tasks[i]);
    // Whatever is cut off: no harm.
    static_cast<void>(items_of(std::string_view(text).substr(0, rng.below(text.size())), "tasks"));
  }
}

TEST(Split, GivesEachShardItsTasksAndAllWhatNamesNone) {
  const auto parts = split(
      R"({"worker_id":"w","x":1.5,"results":[{"task_id":"s1.a","n":1},{"task_id":"old.b"},
          {"task_id":"s0.c"},{"task_id":"s9.d"},{"task_id":"s1.e"}],"max":4,"holds":[{"a":1}]})",
      "results", 3);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->bodies[0],
            R"({"worker_id":"w","x":1.5,"results":[{"task_id":"old.b"},{"task_id":"s0.c"},)"
            R"({"task_id":"s9.d"}]})");
  EXPECT_EQ(parts->bodies[1],
            R"({"worker_id":"w","x":1.5,"results":[{"task_id":"s1.a","n":1},{"task_id":"old.b"},)"
            R"({"task_id":"s9.d"},{"task_id":"s1.e"}]})");
  EXPECT_EQ(parts->max, 4);
  EXPECT_EQ(parts->holds, R"([{"a":1}])");
  EXPECT_EQ(parts->poll_members, R"("worker_id":"w","holds":[{"a":1}])");
  const auto one = split(R"({"worker_id":"w","tasks":[{"task_id":"s1.a"}]})", "tasks", 2);
  EXPECT_EQ(one->has_some, (std::vector<bool>{false, true}));
  EXPECT_EQ(one->bodies[0], R"({"worker_id":"w","tasks":[]})");
  for (const char* wrong :
       {"", "[]", "{}", R"({"worker_id":7})", R"({"worker_id":"w","tasks":{}})",
        R"({"worker_id":"w","tasks":[1]})", R"({"worker_id":"w","tasks":[{"task_id":1}]})",
        R"({"worker_id":"w","max":"1"})"})
    EXPECT_FALSE(split(wrong, "tasks", 2)) << wrong;
}

TEST(MergeHeartbeats, LostIsWhatAllSayWhoMayHaveIt) {
  EXPECT_EQ(merge_heartbeats({R"({"cancel":["s0.a"],"lost":["old","s0.b","odd"]})",
                              R"({"cancel":[],"lost":["old"]})"},
                             2),
            R"({"cancel":["s0.a"],"lost":["old","s0.b"]})");
  EXPECT_EQ(merge_heartbeats({R"({"cancel":[],"lost":["old"]})"}, 2), R"({"cancel":[],"lost":[]})");
  EXPECT_EQ(merge_heartbeats({R"({"cancel":[],"lost":["old"]})"}, 1),
            R"({"cancel":[],"lost":["old"]})");
}

TEST(MergeCompletions, AcceptedByOneIsAccepted) {
  EXPECT_EQ(
      merge_completions({R"({"accepted":["old"],"rejected":[],"tasks":[]})",
                         R"({"accepted":["s1.a"],"rejected":[{"task_id":"old","code":"fenced"},)"
                         R"({"task_id":"s1.b","code":"run_final"}],"tasks":[]})"},
                        {R"({"task_id":"t"})"}),
      R"({"accepted":["old","s1.a"],"rejected":[{"task_id":"s1.b","code":"run_final"}],)"
      R"("tasks":[{"task_id":"t"}]})");
}

TEST(MergeWorkers, AddUpWhatShardsSay) {
  const auto list = [](const char* text) { return parse_json(text)->as_list(); };
  const List merged = merge_workers(
      {list(R"([{"id":"b","status":"lost","running":0,"last_seen_at":"2026-01-01T00:00:00.000Z",
                 "registered_at":"2026-01-01T00:00:00.000Z","in_use":{"cpu":0.5,"memory":10}}])"),
       list(R"([{"id":"a","status":"idle"},
                {"id":"b","status":"busy","running":2,"last_seen_at":"2026-01-02T00:00:00.000Z",
                 "registered_at":"2026-01-01T00:00:01.000Z","in_use":{"cpu":1.5,"memory":5}}])")});
  ASSERT_EQ(merged.size(), 2u);
  EXPECT_EQ(merged[0].string_or("id", ""), "a");
  EXPECT_EQ(merged[1], *parse_json(R"({"id":"b","status":"busy","running":2,
      "last_seen_at":"2026-01-02T00:00:00.000Z","registered_at":"2026-01-01T00:00:00.000Z",
      "in_use":{"cpu":2.0,"memory":15}})"));
}

TEST(Refusals, AnotherTryThatHelpsCountsLast) {
  const auto answer = [](int status, const char* code) {
    return http::Response{.status = status, .body = std::string(R"({"code":")") + code + "\"}"};
  };
  const auto unknown = answer(404, "worker_not_found");
  const auto wrong = answer(422, "invalid_field");
  const auto away = answer(503, "unavailable");
  EXPECT_EQ(refusal_of({unknown, away, wrong})->status, 422);
  EXPECT_EQ(refusal_of({std::nullopt, away, unknown})->status, 404);
  EXPECT_EQ(refusal_of({away, answer(200, "")}), nullptr);
  EXPECT_EQ(failure_of({unknown, away})->status, 503);
}
}  // namespace
}  // namespace mc::cluster
