// An Api that is stopped while connections go on: nothing of the service is used any more.
#include <gmock/gmock.h>

#include <thread>

#include "api/gate.h"
#include "api/rig_test.h"
#include "base/sha256.h"

namespace mc::api {
namespace {
const Headers kStream{{"Accept", "text/event-stream"}};

class StopTest : public ApiRig {
 protected:
  std::shared_ptr<HeardStream> listen(const http::Response& response) {
    auto heard = std::make_shared<HeardStream>();
    EXPECT_TRUE(response.stream) << response.body;
    if (response.stream) response.stream(heard);
    return heard;
  }
  // As a shard ends whose process goes on.
  void stop_all() {
    api->stop();
    service->stop();
    service.reset();
    store.reset();
    blobs.reset();
  }
  std::shared_ptr<http::BodySink> open_body(const std::string& method, const Value& task,
                                            const Headers& headers) {
    http::Request request;
    request.method = method;
    const std::string digest = "sha256:" + sha256_hex("hello world");
    EXPECT_TRUE(
        http::read_target("/api/v1/worker/blobs/" + digest + "?" + hold(task), request).ok());
    request.headers = headers;
    request.headers.push_back({"Authorization", "Bearer " + worker});
    return api->admit(request).sink;
  }
  static std::optional<http::Response> write(http::BodySink& sink, const std::string& piece) {
    std::promise<std::optional<http::Response>> taken;
    sink.write(piece, [&taken](std::optional<http::Response> refusal) {
      taken.set_value(std::move(refusal));
    });
    return taken.get_future().get();
  }
};

TEST_F(StopTest, StreamsEndAndWhatComesLaterIsRefused) {
  const std::string id = start(kOneJob);
  take_task();
  std::vector<std::shared_ptr<HeardStream>> heard;
  for (const std::string& path : {std::string("/api/v1/events"), "/api/v1/runs/" + id + "/events",
                                  "/api/v1/runs/" + id + "/jobs/a/logs"})
    heard.push_back(listen(call("GET", path, "", "admin", kStream)));
  const http::Response opened_late = call("GET", "/api/v1/events", "", "admin", kStream);
  stop_all();
  for (const auto& each : heard) EXPECT_TRUE(each->ends());
  EXPECT_TRUE(listen(opened_late)->ends());
  EXPECT_EQ(code(call("GET", "/api/v1/runs/" + id)), "shutting_down");
}

TEST_F(StopTest, AStreamMayEndLongAfterTheService) {
  // A connection that hears of its end later, as those of a real server do.
  class Late final : public http::StreamWriter {
   public:
    bool write(std::string) override { return true; }
    void close() override {}
    void on_close(std::function<void()> closed) override { closed_ = std::move(closed); }
    void end() { std::exchange(closed_, nullptr)(); }

   private:
    std::function<void()> closed_;
  };
  const std::string id = start(kOneJob);
  take_task();
  std::vector<std::shared_ptr<Late>> late;
  for (const std::string& path : {std::string("/api/v1/events"), "/api/v1/runs/" + id + "/events",
                                  "/api/v1/runs/" + id + "/jobs/a/logs"}) {
    late.push_back(std::make_shared<Late>());
    call("GET", path, "", "admin", kStream).stream(late.back());
  }
  stop_all();
  for (const auto& each : late) each->end();
}

TEST_F(StopTest, APollThatWaitsIsAnsweredByTheEnd) {
  const auto registered =
      call("POST", "/api/v1/worker/register", R"({"name":"w1","slots":1})", worker);
  worker_id = json(registered).string_or("worker_id", "");
  std::promise<http::Response> answered;
  http::Request request;
  request.method = "POST";
  ASSERT_TRUE(http::read_target("/api/v1/worker/poll", request).ok());
  request.headers.push_back({"Authorization", "Bearer " + worker});
  request.body = R"({"worker_id":")" + worker_id + R"(","wait_ms":60000})";
  api->handle(request, [&](http::Response response) { answered.set_value(std::move(response)); });
  stop_all();
  auto answer = answered.get_future();
  ASSERT_EQ(answer.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(answer.get().body, R"({"tasks":[]})");
}

TEST_F(StopTest, ABodyUnderWayLetsGoOfTheBlobStore) {
  start(kOneJob);
  const Value task = take_task();
  const auto whole = open_body("PUT", task, {});
  const auto part = open_body("PATCH", task, {{"Upload-Offset", "0"}, {"Upload-Length", "11"}});
  const auto unused = open_body("PUT", task, {});
  ASSERT_TRUE(whole && part && unused);
  const auto files = [this] {
    int count = 0;
    for (const auto& each : std::filesystem::recursive_directory_iterator(folder))
      count += each.is_regular_file() ? 1 : 0;
    return count;
  };
  EXPECT_FALSE(write(*part, "hello "));
  const int before = files();
  EXPECT_FALSE(write(*whole, "hello "));
  EXPECT_EQ(files(), before + 1);
  stop_all();
  EXPECT_EQ(files(), before) << "what is not whole is dropped while its store is there";
  for (http::BodySink* sink : {whole.get(), part.get(), unused.get()}) {
    const auto refused = write(*sink, "world");
    ASSERT_TRUE(refused);
    EXPECT_EQ(code(*refused), "shutting_down");
  }
}

TEST(Gate, ClosingWaitsForWhoIsInside) {
  Gate gate;
  std::optional<Gate::Guest> inside(gate.enter());
  ASSERT_TRUE(*inside);
  std::atomic<bool> left = false;
  std::thread closer([&] {
    gate.close();
    EXPECT_TRUE(left);
  });
  while (gate.enter()) std::this_thread::yield();  // until it is closing
  left = true;
  inside.reset();
  closer.join();
  EXPECT_FALSE(gate.enter());
}
}  // namespace
}  // namespace mc::api
