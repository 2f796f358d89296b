#include "cluster/known_again.h"

#include "cluster/rig_test.h"

namespace mc::cluster {
namespace {
constexpr Instant kNow{1'000'000};

// One shard that knows who registered, and a lobby's memory of "w".
class KnownAgainTest : public testing::Test {
 protected:
  KnownAgainTest() {
    guests->registered("w", *parse_json(R"({"name":"n","life":"1"})"), kNow);
    shards.at_once = true;
    shards.answers[0] = [this](const http::Request& request) {
      const std::string worker = FakeShards::body_of(request).string_or("worker_id", "");
      said.push_back(request.path.substr(request.path.rfind('/') + 1));
      if (said.back() == "register") {
        if (refusal) return http::problem({*refusal, "no", {}}, "");
        if (!forgets) known.insert(worker);
      } else if (!known.contains(worker)) {
        return http::problem({Code::worker_not_found, "who", {}}, "");
      }
      return http::Response{.content_type = "application/json", .body = "{\"good\":1}"};
    };
  }
  http::Response say(const std::string& what, std::string body = R"({"worker_id":"w"})",
                     std::shared_ptr<const std::atomic<bool>> gone = nullptr) {
    http::Request request{.method = "POST", .path = "/api/v1/worker/" + what};
    request.headers = {{"Authorization", "Bearer mst_now"}};
    request.body = std::move(body);
    request.gone = std::move(gone);
    std::optional<http::Response> response;
    known_again.call(0, std::move(request), [&](http::Response given) {
      EXPECT_FALSE(response);
      response = std::move(given);
    });
    return response.value_or(http::Response{.status = 0});
  }
  using Said = std::vector<std::string>;

  std::shared_ptr<Guests> guests = std::make_shared<Guests>();
  FakeShards shards{1};
  KnownAgain known_again{shards, guests};
  std::set<std::string> known;
  Said said;
  std::optional<Code> refusal;
  bool forgets = false;
};

TEST_F(KnownAgainTest, AWorkerIsRegisteredAgainAndTheCallMadeOnceMore) {
  for (const char* what : {"poll", "heartbeat", "complete"}) {
    known.clear();
    said.clear();
    shards.seen.clear();
    const std::string body = R"({"worker_id":"w","of":")" + std::string(what) + "\"}";
    EXPECT_EQ(say(what, body).body, "{\"good\":1}");
    EXPECT_EQ(said, (Said{what, "register", what}));
    EXPECT_EQ(shards.seen.at(1).request.body,
              R"({"name":"n","life":"1","worker_id":"w","again":true})");
    EXPECT_EQ(*shards.seen.at(1).request.header("authorization"), "Bearer mst_now");
    EXPECT_EQ(shards.seen.at(2).request.body, body);
    EXPECT_EQ(*shards.seen.at(2).request.header("authorization"), "Bearer mst_now");
    EXPECT_EQ(say(what, body).status, 200);
    EXPECT_EQ(said.size(), 4u) << "it is known now";
  }
}

TEST_F(KnownAgainTest, ALookThatAsksForNoTaskCountsAFarewellDoesNot) {
  EXPECT_EQ(say("poll", R"({"worker_id":"w","max":0,"parks_ms":0})").status, 404);
  EXPECT_EQ(say("poll", R"({"worker_id":"w","max":0,"wants_next":true})").status, 200);
}

TEST_F(KnownAgainTest, AWorkerThatDrainsDrainsThereToo) {
  guests->set_draining("w", true, kNow);
  EXPECT_EQ(say("poll").status, 200);
  EXPECT_EQ(shards.seen.at(1).request.body,
            R"({"name":"n","life":"1","worker_id":"w","again":true,"draining":true})");
}

TEST(KnownAgain, AnotherShardKnowsBetterWhetherItDrains) {
  const auto guests = std::make_shared<Guests>();
  guests->registered("w", *parse_json(R"({"name":"n"})"), kNow);
  for (const bool drains : {true, false}) {
    guests->set_draining("w", !drains, kNow);
    FakeShards shards(2);
    shards.at_once = true;
    shards.shards[1].workers["w"] = "";
    if (drains) shards.shards[1].draining.insert("w");
    std::string registration;
    shards.answers[0] = [&](const http::Request& request) {
      if (request.path == "/api/v1/worker/register") {
        registration = request.body;
        return http::Response{.content_type = "application/json", .body = "{}"};
      }
      return registration.empty()
                 ? http::problem({Code::worker_not_found, "who", {}}, "")
                 : http::Response{.content_type = "application/json", .body = "{}"};
    };
    KnownAgain known_again(shards, guests);
    http::Request request{.method = "POST", .path = "/api/v1/worker/heartbeat"};
    request.body = R"({"worker_id":"w","tasks":[]})";
    int status = 0;
    known_again.call(0, request, [&](const http::Response& response) { status = response.status; });
    EXPECT_EQ(status, 200);
    EXPECT_EQ(registration.find("\"draining\":true") != std::string::npos, drains);
  }
}

TEST_F(KnownAgainTest, ItIsTriedOnce) {
  forgets = true;
  EXPECT_EQ(say("poll").status, 404);
  EXPECT_EQ(said, (Said{"poll", "register", "poll"}));
}

TEST_F(KnownAgainTest, TheWorkerIsToldWhenItIsNotTaken) {
  for (const auto& [code, status] :
       {std::pair{Code::worker_name_taken, 404}, std::pair{Code::worker_not_found, 404},
        std::pair{Code::forbidden, 404}, std::pair{Code::unavailable, 503}}) {
    said.clear();
    refusal = code;
    EXPECT_EQ(say("heartbeat").status, status);
    EXPECT_EQ(said, (Said{"heartbeat", "register"}));
  }
}

TEST_F(KnownAgainTest, TheWorkerIsToldWhenItIsNotRemembered) {
  EXPECT_EQ(say("poll", R"({"worker_id":"v"})").status, 404);
  EXPECT_EQ(say("poll", "[]").status, 404);
  EXPECT_EQ(
      say("complete", R"({"worker_id":"w","of":")" + std::string(KnownAgain::kBodyMax, 'x') + "\"}")
          .status,
      404);
  known_again.stop();
  EXPECT_EQ(say("poll").status, 404);
  EXPECT_EQ(said, (Said{"poll", "poll", "complete", "poll"}));
}

TEST_F(KnownAgainTest, WhoLeavesIsNotRegisteredAgain) {
  EXPECT_EQ(say("poll", R"({"worker_id":"w","max":0,"parks_ms":0})").status, 404);
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  shards.answers[0] = [&](const http::Request&) {
    *gone = true;
    return http::problem({Code::worker_not_found, "who", {}}, "");
  };
  EXPECT_EQ(say("poll", R"({"worker_id":"w"})", gone).status, 404);
  EXPECT_EQ(shards.calls, 2);
}

TEST_F(KnownAgainTest, OtherAnswersAndOtherCallsStayAsTheyAre) {
  EXPECT_EQ(say("logs").status, 404);
  known.insert("w");
  EXPECT_EQ(say("poll").status, 200);
  shards.answers[0] = [](const http::Request&) {
    return http::problem({Code::run_not_found, "none", {}}, "");
  };
  EXPECT_EQ(say("poll").status, 404);
  EXPECT_EQ(shards.calls, 3);
}
}  // namespace
}  // namespace mc::cluster
