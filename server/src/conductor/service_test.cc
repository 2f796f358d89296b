// The service with its threads: what it tells, and how it ends.
#include "conductor/service.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>

#include "base/rng.h"
#include "db/memory/memory_store.h"

namespace mc::conductor {
namespace {
const auth::Principal kEve{"eve", auth::Role::admin, "default", {}, "t1"};
constexpr auto kPatience = std::chrono::seconds(30);

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    folder_ = std::filesystem::temp_directory_path() / ("mc-svc-" + std::to_string(random_seed()));
    std::filesystem::create_directories(folder_);
    blobs_ = std::move(*blob::open_disk(folder_.string()));
  }
  ~ServiceTest() override {
    service.reset();
    std::filesystem::remove_all(folder_);
  }
  void open() {
    Options options;
    options.on_ready = [this] {
      const std::lock_guard lock(mutex_);
      ++told_;
      changed_.notify_all();
    };
    service = std::move(*Service::start(*store_, *blobs_, system_clock(), std::move(options)));
  }
  bool hears(int times) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return told_ >= times; });
  }
  int told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  template <class T>
  static std::pair<Done<T>, std::shared_future<Result<T>>> answer() {
    const auto promise = std::make_shared<std::promise<Result<T>>>();
    return {[promise](Result<T> result) { promise->set_value(std::move(result)); },
            promise->get_future().share()};
  }
  template <class T>
  static Result<T> get(const std::shared_future<Result<T>>& future) {
    if (future.wait_for(kPatience) != std::future_status::ready)
      return Error{Code::internal, "no answer", {}};
    return future.get();
  }
  Result<RunView> start_run() {
    const auto [done, answered] = answer<RunView>();
    StartRun start;
    start.principal = kEve;
    start.definition = "jobs: {a: {steps: [{run: x}]}}";
    service->start_run(std::move(start), done);
    return get(answered);
  }
  std::string enlist() {
    const auto [done, answered] = answer<wire::RegisterReply>();
    service->register_worker(kEve, {.name = "w"}, done);
    return get(answered)->worker_id;
  }

  std::filesystem::path folder_;
  std::unique_ptr<db::Store> store_ = db::make_memory_store();
  std::unique_ptr<blob::BlobStore> blobs_;
  std::mutex mutex_;  // guards told_
  std::condition_variable changed_;
  int told_ = 0;
  std::unique_ptr<Service> service;
};

TEST_F(ServiceTest, WhoIsToldOfAReadyJobGetsItByThePollThatComesNext) {
  open();
  const std::string id = enlist();
  ASSERT_TRUE(start_run().ok());
  ASSERT_TRUE(hears(1));
  const auto [done, answered] = answer<std::vector<Task>>();
  service->poll({id, 1, 0}, nullptr, done);
  EXPECT_EQ(get(answered)->size(), 1U);
  EXPECT_EQ(told(), 1);
}

TEST_F(ServiceTest, ReadyJobsOfAnEarlierLifeAreToldWithoutARequest) {
  open();
  ASSERT_TRUE(start_run().ok());
  ASSERT_TRUE(hears(1));
  service.reset();
  told_ = 0;
  open();
  EXPECT_TRUE(hears(1));
}

TEST_F(ServiceTest, StoppingAnswersWhatWaitsAndRefusesTheRest) {
  open();
  const std::string id = enlist();
  const Uuid run = start_run()->id;
  const auto [taken, task] = answer<std::vector<Task>>();
  service->poll({id, 1, 0}, nullptr, taken);
  ASSERT_EQ(get(task)->size(), 1U);
  const auto [polled, tasks] = answer<std::vector<Task>>();
  service->poll({id, 1, 60'000}, nullptr, polled);
  const auto [waited, view] = answer<RunView>();
  service->wait_run(kEve, run, system_clock().now() + Millis(60'000), waited);
  service->stop();
  ASSERT_EQ(tasks.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_TRUE(get(tasks)->empty());
  ASSERT_EQ(view.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(get(view)->status, RunStatus::running);
  service->stop();
  EXPECT_FALSE(service->health().ready);
}

TEST_F(ServiceTest, AfterItsEndItUsesNoStoreAndAnswersAtOnce) {
  open();
  const Uuid run = start_run()->id;
  service->stop();
  store_.reset();
  blobs_.reset();
  const auto refused = [](const auto& future) {
    if (future.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return false;
    return !future.get().ok() && future.get().error().code == Code::shutting_down;
  };
  const auto [read, shown] = answer<RunView>();
  service->run(kEve, run, read);
  EXPECT_TRUE(refused(shown));
  const auto [put, stored] = answer<bool>();
  service->put_records({{"k", "a", "{}", std::nullopt}}, std::nullopt, put);
  EXPECT_TRUE(refused(stored));
  const auto [beat, beaten] = answer<wire::HeartbeatReply>();
  service->heartbeat({"w", {}}, beat);
  EXPECT_TRUE(refused(beaten));
  const auto [listed, events] = answer<std::vector<FeedEvent>>();
  service->events(kEve, run, 0, 10, listed);
  EXPECT_TRUE(refused(events));
  service->unsubscribe(service->subscribe(kEve, run, [](const FeedEvent&) {}));
  service->drain();
}

// Each answer asks again, as a reader of pages does: the end must come all the same.
TEST_F(ServiceTest, WhoAsksAgainFromAnAnswerDoesNotHoldUpTheEnd) {
  open();
  const Uuid run = start_run()->id;
  std::promise<Code> over;
  std::function<void(const Result<RunView>&)> again = [&](const Result<RunView>& view) {
    if (!view.ok()) return over.set_value(view.error().code);
    service->run(kEve, run, again);
  };
  service->run(kEve, run, again);
  service->stop();
  EXPECT_EQ(over.get_future().get(), Code::shutting_down);
}

TEST_F(ServiceTest, WhatWasAskedBeforeTheEndIsDecidedAndKept) {
  open();
  const auto [done, answered] = answer<RunView>();
  StartRun start;
  start.principal = kEve;
  start.definition = "jobs: {a: {steps: [{run: x}]}}";
  service->start_run(std::move(start), done);
  service->stop();
  ASSERT_EQ(answered.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  ASSERT_TRUE(answered.get().ok());
  EXPECT_TRUE(store_->load_run(answered.get()->id)->has_value());
}
}  // namespace
}  // namespace mc::conductor
