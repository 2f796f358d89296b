// A worker in front of servers of older releases.
#include "client/worker_api.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/json.h"

namespace mc::client {
namespace {
// A server that knows these fields of a registration.
class OlderServer final : public Transport {
 public:
  OlderServer(std::initializer_list<std::string_view> known, std::vector<std::string>* bodies)
      : known_(known), bodies_(bodies) {}
  Result<Answer> send(const Call& call) override {
    bodies_->push_back(call.body);
    const Value body = parse_json(call.body, {}).value();
    for (const auto& [name, value] : body.as_object()) {
      if (std::find(known_.begin(), known_.end(), name) == known_.end())
        return Answer{
            422, {}, R"({"code":"unknown_field","detail":"unknown field )" + name + "\"}"};
    }
    return Answer{200, {}, R"({"worker_id":"w1","heartbeat_ms":1,"lease_ms":2})"};
  }

 private:
  std::vector<std::string_view> known_;
  std::vector<std::string>* bodies_;
};

using testing::HasSubstr;
using testing::Not;

Result<wire::RegisterReply> registered(std::initializer_list<std::string_view> known,
                                       std::vector<std::string>* bodies) {
  const auto api = connect_worker(std::make_unique<OlderServer>(known, bodies));
  return api->register_worker({.name = "a",
                               .labels = {"linux"},
                               .instance = "i",
                               .life = "l",
                               .resources = {.cpu_milli = 2000, .memory = 1 << 20}});
}

TEST(RegisterWorker, TellsAnOlderServerWhatItKnows) {
  std::vector<std::string> bodies;
  ASSERT_TRUE(registered({"name", "labels", "slots", "version", "instance", "life"}, &bodies));
  ASSERT_EQ(bodies.size(), 2U);
  EXPECT_THAT(bodies[0], HasSubstr("\"cpu_milli\":2000"));
  EXPECT_THAT(bodies[1], AllOf(Not(HasSubstr("memory")), HasSubstr("\"instance\":\"i\"")));
  bodies.clear();
  ASSERT_TRUE(registered({"name", "labels", "slots", "version"}, &bodies));
  EXPECT_THAT(bodies.back(), AllOf(Not(HasSubstr("instance")), Not(HasSubstr("life"))));
}

class Timed final : public Transport {
 public:
  explicit Timed(std::vector<Millis>* timeouts) : timeouts_(timeouts) {}
  Result<Answer> send(const Call& call) override {
    timeouts_->push_back(call.timeout);
    return Answer{200, {}, "{}"};
  }

 private:
  std::vector<Millis>* timeouts_;
};

TEST(Heartbeat, LeavesASilentServerWhileTheLeaseHasRoomForTheNextOne) {
  std::vector<Millis> timeouts;
  const auto api = connect_worker(std::make_unique<Timed>(&timeouts));
  for (const int lease : {0, 60'000, 15'000, 6'000, 100})
    EXPECT_TRUE(api->heartbeat({}, Millis(lease)));
  EXPECT_EQ(timeouts, (std::vector<Millis>{Millis(4'000), Millis(4'000), Millis(3'750),
                                           Millis(1'500), Millis(500)}));
}

TEST(RegisterWorker, IsRefusedByAServerThatWantsNoneOfIt) {
  std::vector<std::string> bodies;
  const auto refused = registered({"name"}, &bodies);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unknown_field);
  EXPECT_EQ(bodies.size(), 3U);
}

const std::vector<wire::TaskUse> kHolds{{"t", {.cpu_milli = 250}}};

TEST(WorkerApi, AnOlderServerIsNotToldWhatTheWorkerHolds) {
  std::vector<std::string> bodies;
  const auto api = connect_worker(std::make_unique<OlderServer>(
      std::initializer_list<std::string_view>{"worker_id", "max", "wait_ms", "results"}, &bodies));
  ASSERT_TRUE(api->poll({"w", 1, 0, kHolds}, {}).ok());
  ASSERT_TRUE(api->complete({"w", {}, 1, kHolds}).ok());
  ASSERT_EQ(bodies.size(), 4U);
  for (const std::size_t first : {0U, 2U}) {
    EXPECT_THAT(bodies[first], HasSubstr("\"holds\":[{\"task_id\":\"t\",\"cpu_milli\":250}]"));
    EXPECT_THAT(bodies[first + 1], Not(HasSubstr("holds")));
  }
}

TEST(WorkerApi, AServerThatKnowsHoldsIsAskedOnce) {
  std::vector<std::string> bodies;
  const auto api = connect_worker(std::make_unique<OlderServer>(
      std::initializer_list<std::string_view>{"worker_id", "max", "wait_ms", "results", "holds"},
      &bodies));
  ASSERT_TRUE(api->poll({"w", 1, 0, kHolds}, {}).ok());
  ASSERT_TRUE(api->complete({"w", {}, 1, kHolds}).ok());
  EXPECT_EQ(bodies.size(), 2U);
}
}  // namespace
}  // namespace mc::client
