// A whole API in the process: store in memory, blobs in a temporary folder, real Service, no
// socket.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>

#include "api/api.h"
#include "base/json.h"
#include "base/rng.h"
#include "db/memory/memory_store.h"
#include "http/target.h"

namespace mc::api {

// Collects what is streamed.
class HeardStream final : public http::StreamWriter {
 public:
  bool write(std::string chunk) override {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    text_ += chunk;
    changed_.notify_all();
    return true;
  }
  void close() override {
    std::function<void()> closed;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      closed.swap(on_close_);
      changed_.notify_all();
    }
    if (closed) closed();
  }
  void on_close(std::function<void()> closed) override {
    {
      const std::lock_guard lock(mutex_);
      if (!closed_) {
        on_close_ = std::move(closed);
        return;
      }
    }
    closed();
  }
  bool hears(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return text_.find(text) != std::string::npos; });
  }
  bool ends() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return closed_; });
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  bool closed_ = false;
  std::function<void()> on_close_;
};

using Headers = std::vector<http::Header>;

class ApiRig : public testing::Test {
 protected:
  ApiRig() {
    folder = std::filesystem::temp_directory_path() / ("mc-api-" + std::to_string(random_seed()));
    std::filesystem::create_directories(folder);
    blobs = std::move(*blob::open_disk(folder.string()));
    admin = *issue_token(*store, "admin", auth::Role::admin, "default", now(), {});
    viewer = *issue_token(*store, "eve", auth::Role::viewer, "default", now(), {});
    operator_token = *issue_token(*store, "ada", auth::Role::operator_, "default", now(), {});
    worker = *issue_token(*store, "w", auth::Role::worker, "default", now(), {});
    key = auth::SecretBox::make_key();
    open({});
  }
  ~ApiRig() override {
    close();
    std::filesystem::remove_all(folder);
  }
  void open(const Options& options) {
    std::shared_ptr<TokenTable> tokens = std::move(*TokenTable::load(*store));
    secrets = *SecretTable::load(*store, *auth::SecretBox::open(key));
    service = std::move(*conductor::Service::start(*store, *blobs, system_clock(), {}));
    api = std::make_unique<Api>(Deps{
        .service = *service, .tokens = std::move(tokens), .secrets = secrets, .options = options});
  }
  void close() {
    if (api) api->stop();
    service.reset();
    api.reset();
  }
  static Instant now() { return system_clock().now(); }

  http::Response call(const std::string& method, const std::string& target,
                      const std::string& body = {}, const std::string& token = "admin",
                      const Headers& headers = {}) {
    http::Request request;
    request.method = method;
    EXPECT_TRUE(http::read_target(target, request).ok()) << target;
    request.headers = headers;
    if (token != "none")
      request.headers.push_back({"Authorization", "Bearer " + (token == "admin" ? admin : token)});
    if (!body.empty()) request.headers.push_back({"Content-Length", std::to_string(body.size())});
    request.request_id = "r1";
    const http::Admission admission = api->admit(request);
    if (admission.refusal) return *admission.refusal;
    request.body = body;
    auto answered = std::make_shared<std::promise<http::Response>>();
    auto answer = answered->get_future();
    api->handle(std::move(request),
                [answered](http::Response response) { answered->set_value(std::move(response)); });
    if (answer.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
      ADD_FAILURE() << "no answer to " << method << " " << target;
      return {.status = 0};
    }
    return answer.get();
  }
  static Value json(const http::Response& response) {
    const Result<Value> body = parse_json(response.body);
    return body ? *body : Value();
  }
  static std::string code(const http::Response& response) {
    return json(response).string_or("code", "");
  }
  static std::string header(const http::Response& response, std::string_view name) {
    for (const http::Header& each : response.headers) {
      if (each.name == name) return each.value;
    }
    return {};
  }
  std::string start(const std::string& definition) {
    const auto made =
        call("POST", "/api/v1/runs", to_json(Value(Object{{"definition", definition}})));
    EXPECT_EQ(made.status, 201) << made.body;
    return json(made).string_or("id", "");
  }
  // A worker takes the only ready task.
  Value take_task() {
    const auto registered = call("POST", "/api/v1/worker/register",
                                 R"({"name":"w1","labels":[],"slots":1,"version":"t"})", worker);
    EXPECT_EQ(registered.status, 200) << registered.body;
    worker_id = json(registered).string_or("worker_id", "");
    const auto polled =
        call("POST", "/api/v1/worker/poll",
             R"({"worker_id":")" + worker_id + R"(","max":1,"wait_ms":20000})", worker);
    const Value body = json(polled);
    const Value* tasks = body.find("tasks");
    EXPECT_TRUE(tasks != nullptr && tasks->as_list().size() == 1) << polled.body;
    return tasks == nullptr || tasks->as_list().empty() ? Value(Object{}) : tasks->as_list()[0];
  }
  http::Response complete(const Value& task, const std::string& outcome = "succeeded") {
    return call("POST", "/api/v1/worker/complete",
                R"({"worker_id":")" + worker_id + R"(","results":[{"task_id":")" +
                    task.string_or("task_id", "") + R"(","fence":)" +
                    std::to_string(task.int_or("fence", 0)) + R"(,"outcome":")" + outcome +
                    R"("}],"max":0})",
                worker);
  }
  static std::string hold(const Value& task) {
    return "task_id=" + task.string_or("task_id", "") +
           "&fence=" + std::to_string(task.int_or("fence", 0));
  }

  std::filesystem::path folder;
  std::unique_ptr<db::Store> store = db::make_memory_store();
  std::unique_ptr<blob::BlobStore> blobs;
  std::shared_ptr<SecretTable> secrets;
  std::unique_ptr<conductor::Service> service;
  std::unique_ptr<Api> api;
  std::string admin, viewer, operator_token, worker, key, worker_id;
};

inline constexpr const char* kOneJob = "name: one\njobs:\n  a:\n    steps: [{run: 'true'}]\n";

}  // namespace mc::api
