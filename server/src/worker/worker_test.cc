#include "worker/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "worker/desk.h"
#include "worker/fake_server_test.h"
#include "worker/takes.h"
#include "worker/task_run.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;

class Working : public JobRig {
 protected:
  std::unique_ptr<Worker> start(int slots = 2, Resources resources = {}) {
    WorkerOptions options{.name = "w",
                          .slots = slots,
                          .resources = resources,
                          .run = settings_,
                          .poll_wait = Millis(200)};
    options.refused = [this](const Error& error) {
      const std::scoped_lock lock(server_.mutex);
      refusals_.push_back(error.code);
      server_.changed.notify_all();
    };
    options.connect = [this] { return std::make_unique<FakeApi>(server_); };
    options.backoff_first = Duration(1);
    options.backoff_max = Duration(10);
    auto worker = Worker::start(std::move(options));
    EXPECT_TRUE(worker.ok()) << worker.error().message;
    return worker.ok() ? std::move(*worker) : nullptr;
  }
  bool wait_result(const std::string& id) {
    return server_.wait([&] { return server_.results.contains(id); });
  }
  std::vector<Code> refusals_;  // guarded by server_.mutex
  static constexpr const char* kNoop = R"({"steps":[{"uses":"noop"}]})";
};

TEST_F(Working, TasksAreTakenRunAndReported) {
  const auto worker = start();
  for (int i = 0; i < 200; ++i) server_.give(task(kNoop, "", "t" + std::to_string(i)));
  ASSERT_TRUE(server_.wait([&] { return server_.results.size() == 200; }));
  EXPECT_TRUE(worker->wait_idle(Millis(30'000)));
}

TEST_F(Working, NoResultIsLostWhileTheServerIsAway) {
  const auto worker = start();
  server_.give(task(script("echo hi"), "", "a"));
  ASSERT_TRUE(server_.wait([&] { return server_.logs.contains("a"); }));
  server_.failing = 30;
  ASSERT_TRUE(wait_result("a"));
  EXPECT_EQ(server_.results["a"].outcome, Outcome::succeeded);
}

// A restart of the server, which is long for an upload, must not fail the job.
TEST_F(Working, NoArtifactIsLostWhileTheServerIsAway) {
  const auto worker = start();
  server_.give(task(script("echo hi; until [ -e " + data_ +
                               "/go ]; do read -t 0.01 <> <(:) || :; done"
                               "; echo bytes > out.txt",
                           R"("artifacts":[{"name":"out","path":"out.txt"}])"),
                    "", "a"));
  ASSERT_TRUE(server_.wait([&] { return server_.logs.contains("a"); }));
  server_.failing = 1'000'000;
  ASSERT_TRUE(write_file(data_ + "/go", ""));
  ASSERT_TRUE(server_.wait([&] { return server_.blobs_refused >= 3; }));
  server_.failing = 0;
  ASSERT_TRUE(wait_result("a"));
  EXPECT_EQ(server_.results["a"].outcome, Outcome::succeeded) << server_.results["a"].message;
  EXPECT_EQ(server_.blobs.size(), 1U);
}

TEST_F(Working, RegistersAgainWhenTheServerForgotIt) {
  const auto worker = start();
  ASSERT_TRUE(server_.wait([&] { return server_.polls > 0; }));
  {
    const std::scoped_lock lock(server_.mutex);
    server_.forget_worker = true;
  }
  server_.give(task(kNoop, "", "a"));
  ASSERT_TRUE(server_.wait([&] { return server_.registrations == 2; }));
  ASSERT_TRUE(wait_result("a"));
}

TEST_F(Working, ARefusalIsToldOnce) {
  server_.refuse_registration = Code::unauthenticated;
  const auto worker = start();
  ASSERT_TRUE(server_.wait([&] { return server_.refused >= 3; }));
  const std::scoped_lock lock(server_.mutex);
  EXPECT_EQ(refusals_, std::vector<Code>{Code::unauthenticated});
}

// Its token may have been changed a moment too early.
TEST_F(Working, WhoWasTakenOnceTriesItsTokenAgain) {
  const auto worker = start();
  ASSERT_TRUE(server_.wait([&] { return server_.polls > 0; }));
  {
    const std::scoped_lock lock(server_.mutex);
    server_.refuse_registration = Code::unauthenticated;
    server_.forget_worker = true;
  }
  ASSERT_TRUE(server_.wait([&] { return server_.refused >= 3; }));
  const std::scoped_lock lock(server_.mutex);
  EXPECT_TRUE(refusals_.empty());
}

TEST_F(Working, AFolderKeepsItsInstanceAndEachStartIsALife) {
  const auto registered = [&] {
    const auto worker = start();
    EXPECT_TRUE(server_.wait([&] { return server_.polls > 0; }));
    const std::scoped_lock lock(server_.mutex);
    server_.polls = 0;
    return server_.last_registration;
  };
  const auto first = registered();
  const auto second = registered();
  EXPECT_FALSE(first.instance.empty());
  EXPECT_EQ(first.instance, second.instance);
  EXPECT_NE(first.life, second.life);
}

TEST_F(Working, AHeartbeatCancelsAndTheResultSaysSo) {
  const auto worker = start();
  server_.give(task(script("echo up; exec sleep 600"), "", "a"));
  ASSERT_TRUE(server_.wait([&] { return server_.logs.contains("a"); }));
  {
    const std::scoped_lock lock(server_.mutex);
    server_.cancel = {own("a")};
  }
  ASSERT_TRUE(wait_result("a"));
  EXPECT_EQ(server_.results["a"].outcome, Outcome::cancelled);
}

TEST_F(Working, ALostTaskIsKilledAndNotReported) {
  const auto worker = start();
  server_.give(task(script("echo up; exec sleep 600"), "", "a"));
  ASSERT_TRUE(server_.wait([&] { return server_.logs.contains("a"); }));
  {
    const std::scoped_lock lock(server_.mutex);
    server_.lost = {own("a")};
  }
  ASSERT_TRUE(worker->wait_idle(Millis(30'000)));
  EXPECT_FALSE(server_.results.contains("a"));
}

TEST_F(Working, AResultThatIsTooLargeIsReportedAsFailed) {
  server_.refuse_complete = Code::too_large;
  const auto worker = start();
  server_.give(task(
      script("printf x= >> $MAESTRO_OUTPUT; head -c 5000 /dev/zero | tr '\\0' a >> $MAESTRO_OUTPUT",
             R"("outputs":{"x":"${{ steps.one.outputs.x }}"})"),
      "", "big"));
  server_.give(task(kNoop, "", "small"));
  ASSERT_TRUE(wait_result("big"));
  ASSERT_TRUE(wait_result("small"));
  EXPECT_EQ(server_.results["big"].outcome, Outcome::failed);
  EXPECT_EQ(server_.results["big"].failure_kind, FailureKind::infra);
}

TEST_F(Working, DrainingTakesNothingNew) {
  const auto worker = start();
  ASSERT_TRUE(server_.wait([&] { return server_.polls > 0; }));
  server_.give(task(script("read -t 600 <> <(:) || :"), "", "never-ends"));
  ASSERT_TRUE(server_.wait([&] { return server_.ready.empty(); }));
  worker->stop(Millis(100));
  EXPECT_EQ(worker->running(), 0);
  EXPECT_FALSE(server_.results.contains("never-ends"));
  EXPECT_TRUE(fs::is_empty(data_ + "/work"));
}

// Its end is seen in the call that reports it: that says what is left, without the task itself.
TEST_F(Working, WhoHasDeclaredResourcesSaysWhatItsTasksTake) {
  const auto worker = start(2, {.cpu_milli = 4000, .memory = 0});
  const std::string job =
      script("until [ -e " + data_ + "/go ]; do read -t 0.01 <> <(:) || :; done",
             R"("resources":{"cpu":0.5,"memory":"1MiB"})");
  server_.give(task(job, "", "a"));
  const auto polled_with = [&](std::size_t count) {
    return server_.wait(
        [&] { return server_.last_poll && server_.last_poll->holds.size() == count; });
  };
  ASSERT_TRUE(polled_with(1));
  {
    const std::scoped_lock lock(server_.mutex);
    EXPECT_EQ(server_.last_poll->holds[0].task_id, own("a"));
    EXPECT_EQ(server_.last_poll->holds[0].resources,
              (Resources{.cpu_milli = 500, .memory = 1 << 20}));
  }
  ASSERT_TRUE(write_file(data_ + "/go", ""));
  ASSERT_TRUE(wait_result("a"));
  ASSERT_TRUE(polled_with(0));
  const std::scoped_lock lock(server_.mutex);
  EXPECT_TRUE(server_.last_complete.holds.empty());
}

TEST_F(Working, WhoHasDeclaredNoneSaysNothing) {
  const auto worker = start(2);
  server_.give(task(script("until [ -e " + data_ + "/go ]; do read -t 0.01 <> <(:) || :; done",
                           R"("resources":{"cpu":0.5})"),
                    "", "a"));
  ASSERT_TRUE(server_.wait([&] { return server_.ready.empty(); }));
  const int before = server_.polls;
  ASSERT_TRUE(server_.wait([&] { return server_.polls >= before + 2; }));
  {
    const std::scoped_lock lock(server_.mutex);
    EXPECT_TRUE(server_.last_poll->holds.empty());
  }
  ASSERT_TRUE(write_file(data_ + "/go", ""));
  ASSERT_TRUE(wait_result("a"));
}

TEST(TakesOf, ReadsTheJobOfTheSpec) {
  const auto takes = [](const std::string& spec) {
    return takes_of({.task_id = "t", .job = "a", .spec_json = spec});
  };
  const std::string steps = R"("steps":[{"run":"true"}])";
  EXPECT_EQ(takes(R"({"job":{"resources":{"cpu":0.25,"memory":"2GiB"},)" + steps + "}}"),
            (Resources{.cpu_milli = 250, .memory = std::int64_t{2} << 30}));
  EXPECT_TRUE(takes("{\"job\":{" + steps + "}}").empty());
  EXPECT_TRUE(takes(R"({"inputs":{"resources":1},"job":{)" + steps + "}}").empty());
  for (const char* none : {"", "{\"resources\"", R"({"resources":{"cpu":1}})",
                           R"({"job":{"resources":{"cpu":"many"}}})"})
    EXPECT_TRUE(takes(none).empty()) << none;
}

TEST_F(Working, OneFolderOneWorker) {
  const auto worker = start();
  auto second = Worker::start({.name = "x",
                               .connect = [this] { return std::make_unique<FakeApi>(server_); },
                               .run = settings_});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::data_folder);
}

TEST_F(Working, AStartEndsWhatAnEarlierLifeLeft) {
  fs::create_directories(fs::path(data_) / "work" / "old" / "ws");
  auto left = spawn({.argv = {"bash", "-c", "echo up; exec sleep 600"},
                     .env = {worker_marker({.data = data_, .life = "before"})},
                     .folder = "/"});
  ASSERT_TRUE(left.ok());
  char up = 0;
  ASSERT_EQ(::read(left->out().get(), &up, 1), 1);
  const auto worker = start();
  EXPECT_TRUE(left->try_wait().has_value() || left->wait().signal == 9);
  EXPECT_FALSE(fs::exists(fs::path(data_) / "work" / "old"));
}

TEST(DeskTest, SlotsAreNeverOverbookedAndATaskIsHeldOnce) {
  Desk desk(2);
  EXPECT_EQ(desk.reserve_all(), 2);
  EXPECT_EQ(desk.reserve_some(), 0);
  desk.take_in(2, {Task{.task_id = "a", .fence = 1}, Task{.task_id = "a", .fence = 1}});
  EXPECT_EQ(desk.reserve_some(), 1);
  desk.take_in(1, {});
  const Desk::Ref a = desk.next();
  EXPECT_EQ(desk.holds().size(), 1U);
  desk.finish(a, TaskResult{.task_id = "a", .fence = 1});
  EXPECT_EQ(desk.holds().size(), 1U);  // until the server has the result
  EXPECT_EQ(desk.results().size(), 1U);
  EXPECT_FALSE(desk.wait_idle(std::chrono::milliseconds(0)));
  desk.settled({"a"});
  EXPECT_TRUE(desk.wait_idle(std::chrono::milliseconds(0)));
  EXPECT_EQ(desk.reserve_all(), 2);
}

TEST(DeskTest, HoldsNameWhatTakesSomethingAndHasNotEnded) {
  Desk desk(3);
  ASSERT_EQ(desk.reserve_all(), 3);
  desk.take_in(3, {Task{.task_id = "a", .fence = 1, .takes = {.cpu_milli = 5}},
                   Task{.task_id = "b", .fence = 1},
                   Task{.task_id = "c", .fence = 1, .takes = {.memory = 7}}});
  const auto uses = desk.uses();
  ASSERT_EQ(uses.size(), 2U);
  EXPECT_EQ(uses[0].task_id, "a");
  EXPECT_EQ(uses[1].resources, (Resources{.memory = 7}));
  const auto rest = desk.uses({TaskResult{.task_id = "a"}});
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].task_id, "c");
}

// Two servers that give at once would each not know what the other gives.
TEST(DeskTest, OnceATaskTakesSomethingOneCallAtATimeAsks) {
  Desk desk(4);
  desk.take_in(desk.reserve_all(), {Task{.task_id = "a", .fence = 1}});
  EXPECT_EQ(desk.reserve_some(), 3);
  desk.finish(desk.next(), TaskResult{.task_id = "a", .fence = 1});
  EXPECT_EQ(desk.reserve_some(), 1) << "tasks that take nothing are asked for by all";
  desk.take_in(1, {Task{.task_id = "b", .fence = 1, .takes = {.cpu_milli = 1}}});
  desk.finish(desk.next(), TaskResult{.task_id = "b", .fence = 1});
  EXPECT_EQ(desk.reserve_some(), 0) << "the first is still asking";
  desk.take_in(3, {});
  EXPECT_EQ(desk.reserve_some(), 4);
}

// Else a slot would carry out a task that nobody is left to end, and the worker's end wait for it.
TEST(DeskTest, ATaskOnItsWayAtTheEndIsNotTaken) {
  Desk desk(2);
  desk.take_in(1, {Task{.task_id = "a", .fence = 1}});
  const Desk::Ref a = desk.next();
  desk.close();
  EXPECT_TRUE(a->control.lost());
  desk.take_in(1, {Task{.task_id = "b", .fence = 1}});
  EXPECT_EQ(desk.next(), nullptr);
  EXPECT_TRUE(desk.holds().empty());
}

}  // namespace
}  // namespace mc::worker
