#include "cluster/lobby.h"

#include "cluster/rig_test.h"
#include "http/target.h"

namespace mc::cluster {
namespace {

constexpr const char* kWorkers = "/api/v1/workers";

struct LobbyRig {
  explicit LobbyRig(int count)
      : shards(count),
        lobby(shards, clock, {.has_own_thread = false, .seed = 1},
              [this](int shard) { told.push_back(shard); }) {
    shards.at_once = true;
    for (int i = 0; i < count; ++i) {
      shards.answers[i] = [this, i](const http::Request& request) { return answer(i, request); };
    }
  }

  // By what is said here; the poll is the fake shard's own.
  http::Response answer(int shard, const http::Request& request) {
    if (away.contains(shard)) return http::problem({Code::unavailable, "nobody leads", {}}, "");
    for (const auto& [path, says] : said) {
      if (request.path != path) continue;
      const auto own = says.find(shard);
      if (own == says.end()) continue;
      const bool is_poll = path == "/api/v1/worker/poll";
      return is_poll ? poll_answer(request, own->second)
                     : http::Response{.content_type = "application/json", .body = own->second};
    }
    const auto refused = refusals.find(shard);
    if (refused != refusals.end()) return http::problem({refused->second, "no", {}}, "");
    return {.content_type = "application/json", .body = "{}"};
  }
  // Of a shard that would give these tasks, and has no others.
  static http::Response poll_answer(const http::Request& request, const std::string& tasks) {
    const bool is_look = FakeShards::body_of(request).int_or("max", 1) == 0;
    const bool has_more = is_look && tasks.find("task_id") != std::string::npos;
    http::Response response{.content_type = "application/json"};
    response.body = is_look ? R"({"tasks":[]})" : tasks;
    const auto next = has_more ? std::optional(wire::Offer{0, "default", {}}) : std::nullopt;
    response.headers.push_back({std::string(wire::kNextHeader), wire::encode_next(next)});
    return response;
  }
  http::Response call(const std::string& method, const std::string& target,
                      const std::string& body = {}) {
    http::Request request;
    request.method = method;
    EXPECT_TRUE(http::read_target(target, request).ok());
    EXPECT_TRUE(Lobby::takes(request)) << target;
    request.headers = {{"Authorization", "Bearer mst_1"}, {"Connection", "close"}};
    request.request_id = "r7";
    request.body = body;
    std::optional<http::Response> response;
    lobby.handle(std::move(request), [&](http::Response given) {
      EXPECT_FALSE(response);
      response = std::move(given);
    });
    EXPECT_TRUE(response) << target;
    lobby.tick();
    return response.value_or(http::Response{.status = 0});
  }
  void ready(int shard, bool here) {
    lobby.ready(shard, here);
    lobby.tick();
  }
  http::Response worker(const std::string& what, const std::string& body) {
    return call("POST", "/api/v1/worker/" + what, body);
  }
  // The bodies that shards were sent, by shard.
  std::map<int, std::string> sent() {
    std::map<int, std::string> bodies;
    for (const auto& call : std::exchange(shards.seen, {}))
      EXPECT_TRUE(bodies.emplace(call.shard, call.request.body).second);
    return bodies;
  }

  HandClock clock;
  FakeShards shards;
  std::vector<int> told;
  std::set<int> away;
  std::map<int, Code> refusals;
  std::map<std::string, std::map<int, std::string>> said;  // path → shard → body
  Lobby lobby;
};

TEST(Lobby, TakesWhatNamesNoSingleShard) {
  const auto takes = [](const char* method, const char* path) {
    return Lobby::takes({.method = method, .path = path});
  };
  for (const char* path :
       {"/api/v1/worker/register", "/api/v1/worker/poll", "/api/v1/worker/heartbeat",
        "/api/v1/worker/complete", "/api/v1/workers/w/drain", "/api/v1/workers/w/resume"}) {
    EXPECT_TRUE(takes("POST", path)) << path;
    EXPECT_FALSE(takes("GET", path)) << path;
  }
  EXPECT_TRUE(takes("GET", kWorkers));
  for (const char* path : {"/api/v1/worker/logs", "/api/v1/workers", "/api/v1/workers//drain",
                           "/api/v1/workers/drain", "/api/v1/workers/a/b/drain", "/api/v1/runs"})
    EXPECT_FALSE(takes("POST", path)) << path;
}

TEST(Lobby, RegistersWithAllShardsUnderOneId) {
  LobbyRig rig(3);
  for (int i = 0; i < 3; ++i)
    rig.said["/api/v1/worker/register"][i] = R"({"worker_id":"x","heartbeat_ms":2000})";
  EXPECT_EQ(rig.worker("register", R"({"name":"w","labels":["a"],"later":1})").status, 200);
  std::set<std::string> ids;
  ASSERT_EQ(rig.shards.seen.size(), 3u);
  for (const auto& call : rig.shards.seen) {
    const Value body = FakeShards::body_of(call.request);
    ids.insert(body.string_or("worker_id", ""));
    EXPECT_EQ(body.int_or("later", 0), 1);
    EXPECT_EQ(*call.request.header("authorization"), "Bearer mst_1");
    EXPECT_EQ(call.request.header("connection"), nullptr);
    EXPECT_EQ(call.request.request_id, "r7");
  }
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_TRUE(parse_uuid(*ids.begin()));
  rig.said.clear();
  rig.refusals[1] = Code::worker_name_taken;
  EXPECT_EQ(rig.worker("register", R"({"name":"w"})").status, 409);
  rig.refusals.clear();
  rig.refusals[2] = Code::overloaded;
  EXPECT_EQ(rig.worker("register", R"({"name":"w"})").status, 200) << "one is away";
  rig.refusals[1] = Code::unavailable;
  EXPECT_EQ(rig.worker("register", R"({"name":"w"})").status, 503) << "the name may be taken";
  rig.refusals = {{0, Code::overloaded}, {1, Code::overloaded}, {2, Code::overloaded}};
  EXPECT_EQ(rig.worker("register", R"({"name":"w"})").status, 503);
}

TEST(Lobby, AskedForNonsenseLetsAShardSayWhatIsWrong) {
  LobbyRig rig(3);
  for (FakeShards::Shard& shard : rig.shards.shards) shard.is_here = false;
  rig.shards.at(1).is_here = true;
  rig.refusals[1] = Code::invalid_field;
  for (const char* what : {"register", "poll", "heartbeat", "complete"}) {
    EXPECT_EQ(rig.worker(what, "[nonsense").status, 422);
    EXPECT_EQ(rig.sent(), (std::map<int, std::string>{{1, "[nonsense"}}));
  }
  EXPECT_EQ(rig.worker("poll", R"({"worker_id":"w","max":0})").status, 422);
  EXPECT_EQ(rig.worker("poll", R"({"worker_id":"w","max":"1"})").status, 422);
}

TEST(Lobby, SplitsHeartbeatsAndTellsTheOthersNowAndThen) {
  LobbyRig rig(3);
  const std::string body = R"({"worker_id":"w","tasks":[{"task_id":"s1.a","fence":7}]})";
  rig.said["/api/v1/worker/heartbeat"][1] = R"({"cancel":["s1.a"],"lost":[]})";
  EXPECT_EQ(rig.worker("heartbeat", body).body, R"({"cancel":["s1.a"],"lost":[]})");
  EXPECT_EQ(rig.sent().size(), 3u);
  rig.worker("heartbeat", body);
  EXPECT_EQ(rig.sent(), (std::map<int, std::string>{{1, body}}));
  rig.clock.at = rig.clock.at + Millis(5'000);
  rig.worker("heartbeat", body);
  const auto bodies = rig.sent();
  EXPECT_EQ(bodies.size(), 3u);
  EXPECT_EQ(bodies.at(0), R"({"worker_id":"w","tasks":[]})");
  rig.worker("heartbeat", R"({"worker_id":"w"})");
  EXPECT_EQ(rig.sent().size(), 1u) << "somebody looks at the token";
}

TEST(Lobby, TasksOfAShardThatIsAwayAreNotLost) {
  LobbyRig rig(3);
  const auto body = [](const std::string& tasks) {
    return R"({"worker_id":"w","tasks":[)" + tasks + "]}";
  };
  const std::string one = R"({"task_id":"s0.a"})", two = one + R"(,{"task_id":"s1.b"})";
  rig.said["/api/v1/worker/heartbeat"][0] = R"({"cancel":[],"lost":["s0.a","old.c"]})";
  rig.away.insert(1);
  const auto answer = rig.worker("heartbeat", body(one));
  EXPECT_EQ(answer.status, 200) << "it has no task of the one that is away";
  EXPECT_EQ(answer.body, R"({"cancel":[],"lost":["s0.a"]})");
  rig.sent();
  EXPECT_EQ(rig.worker("heartbeat", body(two)).status, 503) << "another replica may reach it";
  EXPECT_EQ(rig.sent().size(), 2U) << "the others have heard it";
  EXPECT_EQ(rig.worker("heartbeat", body(R"({"task_id":"old.c"})")).status, 503);
  rig.away.clear();
  rig.refusals[1] = Code::worker_not_found;
  EXPECT_EQ(rig.worker("heartbeat", body(two)).status, 404);
}

TEST(Lobby, CompletesAtEachShardAndThenLooksForTasks) {
  LobbyRig rig(3);
  rig.said["/api/v1/worker/complete"] = {{0, R"({"accepted":["s0.a"],"rejected":[],"tasks":[]})"},
                                         {2, R"({"accepted":[],"rejected":[{"task_id":"s2.b",)"
                                             R"("code":"fenced"}],"tasks":[]})"}};
  rig.said["/api/v1/worker/poll"][1] = R"({"tasks":[{"task_id":"s1.n","spec":{"x":1.50}}]})";
  const std::string body =
      R"({"worker_id":"w","results":[{"task_id":"s0.a"},{"task_id":"s2.b"}],"max":1,"holds":[]})";
  EXPECT_EQ(rig.worker("complete", body).body,
            R"({"accepted":["s0.a"],"rejected":[{"task_id":"s2.b","code":"fenced"}],)"
            R"("tasks":[{"task_id":"s1.n","spec":{"x":1.50}}]})");
  std::vector<std::string> polls;
  for (const auto& call : rig.shards.seen) {
    if (call.request.path == "/api/v1/worker/poll") polls.push_back(call.request.body);
    if (call.request.path != "/api/v1/worker/poll") EXPECT_TRUE(polls.empty());
  }
  ASSERT_FALSE(polls.empty());
  EXPECT_EQ(
      polls.back(),
      R"({"worker_id":"w","holds":[],"max":1,"wait_ms":0,"wants_next":true,"priority_min":0})");
}

TEST(Lobby, AsksTheOnlyShardWithWorkForNewTasksAtOnce) {
  LobbyRig rig(3);
  rig.said["/api/v1/worker/poll"] = {
      {0, R"({"tasks":[]})"}, {1, R"({"tasks":[]})"}, {2, R"({"tasks":[]})"}};
  rig.worker("poll", R"({"worker_id":"w"})");
  rig.sent();
  const std::string body = R"({"worker_id":"w","results":[{"task_id":"s1.a"}],"max":1})";
  const std::string answer = R"({"accepted":["s1.a"],"rejected":[],"tasks":[{"task_id":"s1.b"}]})";
  rig.said["/api/v1/worker/complete"][1] = answer;
  EXPECT_EQ(rig.worker("complete", body).body, answer);
  EXPECT_EQ(rig.sent(), (std::map<int, std::string>{{1, body}}));
  // Another shard has something: it may be its turn.
  rig.ready(2, true);
  rig.worker("complete", body);
  EXPECT_EQ(FakeShards::body_of(rig.shards.seen.at(0).request).int_or("max", 0), 0);
  EXPECT_EQ(rig.shards.seen.at(1).request.path, "/api/v1/worker/poll");
}

TEST(Lobby, WhenAShardFailsNothingOfACompletionIsSettled) {
  LobbyRig rig(2);
  rig.said["/api/v1/worker/complete"][0] = R"({"accepted":["s0.a"],"rejected":[],"tasks":[]})";
  rig.away.insert(1);
  const std::string body =
      R"({"worker_id":"w","results":[{"task_id":"s0.a"},{"task_id":"s1.b"}],"max":1})";
  EXPECT_EQ(rig.worker("complete", body).status, 503);
  for (const auto& call : rig.shards.seen) EXPECT_EQ(call.request.path, "/api/v1/worker/complete");
  EXPECT_EQ(rig.lobby.polls(), 0u);
  rig.away.clear();
  rig.refusals[1] = Code::worker_not_found;
  EXPECT_EQ(rig.worker("complete", body).status, 404);
}

TEST(Lobby, AWorkerGoesOnWhenAShardHasForgottenIt) {
  LobbyRig rig(2);
  rig.worker("register", R"({"name":"w"})");
  const std::string id =
      FakeShards::body_of(rig.shards.seen.back().request).string_or("worker_id", "");
  bool knows = true;
  int registered = 0;
  rig.shards.answers[1] = [&](const http::Request& request) {
    const bool registers = request.path == "/api/v1/worker/register";
    knows |= registers;
    registered += registers ? 1 : 0;
    if (!knows) return http::problem({Code::worker_not_found, "who", {}}, "");
    return rig.answer(1, request);
  };
  for (int i = 0; i < 2; ++i) rig.said["/api/v1/worker/poll"][i] = R"({"tasks":[]})";
  const std::string body = R"({"worker_id":")" + id + "\"";
  for (const auto& [what, rest] :
       {std::pair{"poll", "}"}, std::pair{"heartbeat", R"(,"tasks":[{"task_id":"s1.a"}]})"},
        std::pair{"complete", R"(,"results":[{"task_id":"s1.a"}]})"}}) {
    knows = false;
    registered = 0;
    EXPECT_EQ(rig.worker(what, body + rest).status, 200) << what;
    EXPECT_EQ(registered, 1) << what;
  }
}

TEST(Lobby, ListsWorkersOfAllShardsPageByPage) {
  LobbyRig rig(2);
  const auto id = [](int i) { return "00000000-0000-7000-8000-00000000000" + std::to_string(i); };
  const auto item = [&](int i, int running) {
    return R"({"id":")" + id(i) + R"(","running":)" + std::to_string(running) + "}";
  };
  for (int i = 0; i < 2; ++i) {
    rig.shards.answers[i] = [&, i](const http::Request& request) {
      const std::string* cursor = request.query_value("cursor");
      EXPECT_EQ(*request.query_value("limit"), "100");
      http::Response response{.content_type = "application/json"};
      if (cursor == nullptr && i == 0) {
        response.body =
            R"({"items":[)" + item(1, 1) + "," + item(2, 1) + R"(],"next_cursor":"=2"})";
      } else if (cursor == nullptr) {
        response.body = R"({"items":[)" + item(2, 4) + R"(],"next_cursor":null})";
      } else {
        EXPECT_EQ(*cursor, "=2");
        response.body = R"({"items":[)" + item(3, 1) + R"(],"next_cursor":null})";
      }
      return response;
    };
  }
  EXPECT_EQ(rig.call("GET", kWorkers).body, R"({"items":[)" + item(1, 1) + "," + item(2, 5) + "," +
                                                item(3, 1) + R"(],"next_cursor":null})");
  const auto first = rig.call("GET", std::string(kWorkers) + "?limit=2");
  EXPECT_EQ(first.body, R"({"items":[)" + item(1, 1) + "," + item(2, 5) + R"(],"next_cursor":")" +
                            id(2) + R"("})");
  EXPECT_EQ(rig.call("GET", std::string(kWorkers) + "?limit=2&cursor=" + id(2)).body,
            R"({"items":[)" + item(3, 1) + R"(],"next_cursor":null})");
  EXPECT_EQ(rig.call("GET", std::string(kWorkers) + "?cursor=x").status, 400);
  rig.shards.answers[1] = [](const http::Request&) {
    return http::problem({Code::unavailable, "", {}}, "");
  };
  EXPECT_EQ(rig.call("GET", kWorkers).status, 200) << "of those who are there";
  rig.shards.answers[0] = rig.shards.answers[1];
  EXPECT_EQ(rig.call("GET", kWorkers).status, 503);
}

TEST(Lobby, DrainsAtAllShards) {
  LobbyRig rig(2);
  rig.refusals[1] = Code::worker_not_found;
  EXPECT_EQ(rig.call("POST", "/api/v1/workers/w/drain").status, 200);
  EXPECT_EQ(rig.sent().size(), 2u);
  rig.refusals[0] = Code::worker_not_found;
  EXPECT_EQ(rig.call("POST", "/api/v1/workers/w/resume").status, 404);
  rig.refusals.erase(0);
  rig.away.insert(1);
  EXPECT_EQ(rig.call("POST", "/api/v1/workers/w/drain").status, 503);
}

TEST(Lobby, AWorkerThatDrainsSaysNothingOfItsKind) {
  LobbyRig rig(1);
  rig.said["/api/v1/worker/poll"][0] = R"({"tasks":[]})";
  std::vector<std::string> ids;
  for (int i = 0; i < 2; ++i) {
    rig.worker("register", R"({"name":"w","labels":["a"]})");
    ids.push_back(FakeShards::body_of(rig.shards.seen.back().request).string_or("worker_id", ""));
  }
  int answered = 0;
  for (const std::string& id : ids) {
    http::Request poll{.method = "POST", .path = "/api/v1/worker/poll"};
    poll.body = R"({"worker_id":")" + id + R"(","wait_ms":20000})";
    rig.lobby.handle(std::move(poll), [&](const http::Response&) { ++answered; });
  }
  rig.shards.asked.clear();
  rig.ready(0, true);
  EXPECT_EQ(rig.shards.asked.size(), 1u) << "they are alike";
  rig.call("POST", "/api/v1/workers/" + ids[0] + "/drain");
  rig.shards.asked.clear();
  rig.ready(0, true);
  EXPECT_EQ(rig.shards.asked.size(), 2u);
  rig.call("POST", "/api/v1/workers/" + ids[0] + "/resume");
  rig.shards.asked.clear();
  rig.ready(0, true);
  EXPECT_EQ(rig.shards.asked.size(), 1u);
  EXPECT_EQ(answered, 0);
  rig.lobby.stop();
  EXPECT_EQ(answered, 2);
}

TEST(LobbyDeathTest, ThereMustBeAShard) {
  FakeShards none(0);
  HandClock clock;
  EXPECT_DEATH(Lobby(none, clock, {.has_own_thread = false}, nullptr), "count_ >= 1");
}

TEST(Lobby, AnswersNothingMoreOnceStopped) {
  LobbyRig rig(1);
  rig.lobby.stop();
  for (const char* what : {"register", "poll", "heartbeat", "complete"})
    EXPECT_EQ(rig.worker(what, R"({"worker_id":"w"})").status, 503);
  EXPECT_EQ(rig.shards.calls, 0);
}
}  // namespace
}  // namespace mc::cluster
