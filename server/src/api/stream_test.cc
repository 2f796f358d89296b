// Server-sent events, and the bytes that workers keep.
#include <gmock/gmock.h>

#include <thread>

#include "api/rig_test.h"
#include "api/streams.h"
#include "base/sha256.h"

namespace mc::api {
namespace {
using testing::HasSubstr;
const Headers kStream = {{"Accept", "text/event-stream"}};

std::shared_ptr<HeardStream> listen(const http::Response& response) {
  auto heard = std::make_shared<HeardStream>();
  if (response.stream) response.stream(heard);
  EXPECT_TRUE(response.stream) << response.status << response.body;
  return heard;
}

TEST_F(ApiRig, EventsOfARunStreamUntilItIsOver) {
  const std::string id = start(kOneJob);
  const std::string path = "/api/v1/runs/" + id + "/events";
  const auto heard = listen(call("GET", path, "", "admin", kStream));
  EXPECT_TRUE(heard->hears("event: job.ready")) << heard->text();
  EXPECT_EQ(complete(take_task()).status, 200);
  EXPECT_TRUE(heard->ends());
  const Value list = json(call("GET", path));
  const auto& items = list.find("items")->as_list();
  std::string expected;
  for (const Value& item : items) {
    const std::string seq = std::to_string(item.int_or("seq", 0));
    EXPECT_THAT(heard->text(), HasSubstr("id: " + seq + "\nevent: " + item.string_or("type", "?")));
  }
  EXPECT_EQ(items.back().string_or("type", ""), "run.finished");

  // Resumed in the middle: what is left, and nothing twice.
  Headers resumed = kStream;
  resumed.push_back({"Last-Event-ID", "2"});
  const auto rest = listen(call("GET", path, "", "admin", resumed));
  EXPECT_TRUE(rest->ends());
  EXPECT_TRUE(rest->text().starts_with("id: 3\n")) << rest->text();
  resumed.back().value = std::to_string(items.back().int_or("seq", 0));
  EXPECT_EQ(call("GET", path, "", "admin", resumed).status, 204);
  EXPECT_EQ(json(call("GET", path + "?after=2")).find("items")->as_list().size(), items.size() - 2);
}

// While a follower catches up, events come from both sides: none may be missed or told twice.
TEST_F(ApiRig, NothingIsMissedOrToldTwiceWhileCatchingUp) {
  for (int i = 0; i < 30; ++i) {
    const std::string id = start(kOneJob);
    const Value task = take_task();
    const auto response = call("GET", "/api/v1/runs/" + id + "/events", "", "admin", kStream);
    std::thread finisher([&] { EXPECT_EQ(complete(task).status, 200); });
    const auto heard = listen(response);
    EXPECT_TRUE(heard->ends());
    finisher.join();
    std::string text = heard->text();
    std::int64_t wanted = 1;
    for (std::size_t at = text.find("id: "); at != std::string::npos;
         at = text.find("\nid: ", at)) {
      at += text[at] == '\n' ? 5 : 4;
      EXPECT_EQ(text.substr(at, text.find('\n', at) - at), std::to_string(wanted++)) << text;
    }
    EXPECT_THAT(text, HasSubstr("event: run.finished"));
  }
}

TEST_F(ApiRig, TheFeedTellsOfAllRunsAndGoesOnWhereItWas) {
  const auto heard = listen(call("GET", "/api/v1/events", "", "admin", kStream));
  const std::string one = start(kOneJob);
  EXPECT_TRUE(heard->hears(one));
  const Value page = json(call("GET", "/api/v1/events"));
  EXPECT_GE(page.find("items")->as_list().size(), 2U);
  const std::int64_t after = page.int_or("next_after", 0);
  const std::string two = start(kOneJob);
  EXPECT_TRUE(heard->hears(two));
  const auto fresh = call("GET", "/api/v1/events?after=" + std::to_string(after)).body;
  EXPECT_THAT(fresh, HasSubstr(two));
  EXPECT_THAT(fresh, testing::Not(HasSubstr(one)));
  heard->close();
}

TEST_F(ApiRig, LogsAreFollowedUntilTheAttemptIsOver) {
  const std::string id = start(kOneJob);
  const Value task = take_task();
  const std::string path = "/api/v1/runs/" + id + "/jobs/a/logs";
  EXPECT_EQ(call("GET", path).body, "");
  const auto heard = listen(call("GET", path, "", "admin", kStream));
  const auto send = [&](int offset, const std::string& text) {
    return call("POST", "/api/v1/worker/logs",
                R"({"worker_id":")" + worker_id + R"(","task_id":")" +
                    task.string_or("task_id", "") + R"(","fence":)" +
                    std::to_string(task.int_or("fence", 0)) + R"(,"offset":)" +
                    std::to_string(offset) + R"(,"chunks":[{"t":1,"step":"s","stream":"stdout",)" +
                    R"("text":")" + text + R"("}]})",
                worker);
  };
  EXPECT_EQ(send(0, "first").status, 200);
  EXPECT_TRUE(heard->hears("first")) << heard->text();
  EXPECT_EQ(send(5, "second").status, 200);
  EXPECT_EQ(complete(task).status, 200);
  EXPECT_TRUE(heard->ends()) << heard->text();
  EXPECT_THAT(heard->text(), HasSubstr("id: 5\nevent: log\n"));
  EXPECT_THAT(heard->text(), HasSubstr("id: 11\nevent: end\n"));
  EXPECT_EQ(send(11, "late").status, 409) << "the fence is over";
  Headers resumed = kStream;
  resumed.push_back({"Last-Event-ID", "5"});
  const auto rest = listen(call("GET", path, "", "admin", resumed));
  EXPECT_TRUE(rest->ends());
  EXPECT_THAT(rest->text(), HasSubstr("second"));
  EXPECT_THAT(rest->text(), testing::Not(HasSubstr("first")));
}

TEST_F(ApiRig, BlobsAndCacheBelongToWhoHoldsATask) {
  start(kOneJob);
  const Value task = take_task();
  const std::string bytes = "hello", digest = "sha256:" + sha256_hex(bytes);
  const std::string path = "/api/v1/worker/blobs/" + digest + "?";
  EXPECT_EQ(call("GET", path + hold(task), "", worker).status, 404);
  EXPECT_EQ(call("PUT", path + hold(task), "other", worker).status, 422);
  EXPECT_EQ(call("PUT", path + hold(task), bytes, worker).status, 204);
  EXPECT_EQ(call("GET", path + hold(task), "", worker).file->length, 5);
  EXPECT_EQ(code(call("GET", path + "task_id=x&fence=1", "", worker)), "fenced");
  EXPECT_EQ(call("GET", path, "", worker).status, 422);
  const std::string cache = "/api/v1/worker/cache?scope=default&key=k&" + hold(task);
  EXPECT_EQ(call("GET", cache, "", worker).status, 404);
  EXPECT_EQ(call("PUT", cache, R"({"digest":")" + digest + R"(","size":5})", worker).status, 204);
  EXPECT_EQ(json(call("GET", cache, "", worker)).string_or("digest", ""), digest);
  EXPECT_EQ(call("PUT", cache, R"({"digest":"sha256:none"})", worker).status, 422);
  const auto with_artifacts = [&](const std::string& list) {
    const std::string body = R"({"digest":")" + digest + R"(","artifacts":)" + list + "}";
    return call("PUT", cache, body, worker).status;
  };
  EXPECT_EQ(with_artifacts(R"([{"name":"a","digest":")" + digest + R"("}])"), 204);
  EXPECT_EQ(json(call("GET", cache, "", worker)).find("artifacts")->as_list().size(), 1U);
  EXPECT_EQ(with_artifacts(R"([{"name":"a","digest":"sha256:none"}])"), 422);
  EXPECT_EQ(with_artifacts(R"([{"name":"a","digest":")" + digest + R"(","size":"x"}])"), 422);
  EXPECT_EQ(with_artifacts(R"({"name":"a"})"), 422);
  EXPECT_EQ(call("GET", "/api/v1/artifacts/" + digest).file->length, 5);
  EXPECT_EQ(complete(task).status, 200);
  EXPECT_EQ(code(call("GET", cache, "", worker)), "fenced");
}

TEST_F(ApiRig, ABodyIsTakenPieceByPiece) {
  start(kOneJob);
  const Value task = take_task();
  const std::string digest = "sha256:" + sha256_hex("hello world");
  http::Request request;
  request.method = "PUT";
  ASSERT_TRUE(http::read_target("/api/v1/worker/blobs/" + digest + "?" + hold(task), request).ok());
  request.headers.push_back({"Authorization", "Bearer " + worker});
  const http::Admission admission = api->admit(request);
  ASSERT_NE(admission.sink, nullptr);
  for (const char* piece : {"hello ", "world"}) {
    std::promise<bool> taken;
    admission.sink->write(piece, [&taken](const std::optional<http::Response>& refusal) {
      taken.set_value(!refusal.has_value());
    });
    EXPECT_TRUE(taken.get_future().get());
  }
  request.sink = admission.sink;
  std::promise<http::Response> answered;
  api->handle(request, [&](http::Response response) { answered.set_value(std::move(response)); });
  EXPECT_EQ(answered.get_future().get().status, 204);
  EXPECT_TRUE(blobs->has(digest));
}

TEST(Streams, AreKeptAliveAndClosedAtTheEnd) {
  Streams streams(Millis(5));
  const auto heard = std::make_shared<HeardStream>();
  EXPECT_NE(streams.add(heard), 0U);
  EXPECT_TRUE(heard->hears(": keep-alive\n\n: keep-alive\n\n"));
  streams.stop();
  EXPECT_TRUE(heard->ends());
  EXPECT_EQ(streams.add(heard), 0U);
}

}  // namespace
}  // namespace mc::api
