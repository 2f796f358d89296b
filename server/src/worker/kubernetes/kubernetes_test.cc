#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/fake_server_test.h"
#include "worker/kubernetes/handover.h"
#include "worker/kubernetes/one_task.h"
#include "worker/kubernetes/plan.h"

namespace mc::worker {
namespace {
using testing::HasSubstr;

const PlanSettings kSettings{.namespace_name = "jobs",
                             .worker = "kube",
                             .urls = {"http://b", "http://a"},
                             .image = "maestro:1",
                             .resources = {.cpu = "1", .memory = "1Gi"}};

Task task_of(const std::string& job, const std::string& more = "") {
  Task task{.task_id = "r.1.1", .fence = 5, .run_id = Uuid{0x11, 0x22}, .job = "build"};
  task.deadline = Instant{100'000};
  task.spec_json = R"({"workflow":"w","key":"build","phase":"graph","job":)" + job +
                   (more.empty() ? "" : "," + more) + "}";
  return task;
}

Result<kube::JobPlan> plan(const std::string& job, const std::string& more = "") {
  return plan_job(task_of(job, more), kSettings, Instant{40'000});
}

TEST(JobPlan, AJobThatSaysNothingGetsTheDefaults) {
  const auto made = plan(R"({"steps":[{"run":"true"}]})");
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->image, "maestro:1");
  EXPECT_EQ(made->resources.cpu, "1");
  EXPECT_EQ(made->resources.memory, "1Gi");
  EXPECT_EQ(made->deadline_s, 60 + 60);
  EXPECT_EQ(made->name, kube::job_name("r.1.1", 5));
}

TEST(JobPlan, ImageAndAmountsAreTheJobsOwn) {
  const auto made = plan(
      R"({"container":{"image":"debian:${{ inputs.v }}"},"resources":{"cpu":0.25,"memory":"2GiB"},)"
      R"("steps":[{"run":"true"}]})",
      R"("inputs":{"v":"12"})");
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->image, "debian:12");
  EXPECT_EQ(made->resources.cpu, "250m");
  EXPECT_EQ(made->resources.memory, "2048Mi");
  EXPECT_EQ(plan(R"({"resources":{"memory":"1000B"},"steps":[{"run":"true"}]})")->resources.memory,
            "1000");
}

TEST(JobPlan, NotesWhatTheTaskTakesForALaterLifeOfTheWorker) {
  const auto takes = [](const std::string& job) { return read_takes(plan(job)->takes); };
  EXPECT_EQ(takes(R"({"resources":{"cpu":0.25,"memory":"2GiB"},"steps":[{"run":"true"}]})"),
            (Resources{.cpu_milli = 250, .memory = std::int64_t{2} << 30}));
  EXPECT_TRUE(takes(R"({"steps":[{"run":"true"}]})").empty()) << "defaults are the cluster's";
  for (const char* none : {"", "1", "1 ", " 1", "-1 1", "1 1 1", "a b"})
    EXPECT_TRUE(read_takes(none).empty()) << none;
}

TEST(JobPlan, TheIdOfATaskOfAShardNamesAJobToo) {
  Task task = task_of(R"({"steps":[{"run":"true"}]})");
  task.task_id = "s3.0193a5c0-0000-7000-8000-00000000000f.12.3";
  const auto made = plan_job(task, kSettings, Instant{40'000});
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->name.size(), std::string("maestro-").size() + 20);
  EXPECT_EQ(made->name.find('.'), std::string::npos);
  EXPECT_EQ(made->task_id, task.task_id);
}

TEST(JobPlan, AnImageThatIsNoneIsNamed) {
  const auto made = plan(R"({"container":{"image":"${{ ' ' }}"},"steps":[{"run":"true"}]})");
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().message, HasSubstr("container.image: there is none"));
}

TEST(ServerLabel, DoesNotDependOnTheOrderOfServers) {
  EXPECT_EQ(server_label({"http://a", "http://b"}), server_label({"http://b", "http://a"}));
  EXPECT_NE(server_label({"http://a"}), server_label({"http://b"}));
}

Handover handover() {
  return {.urls = {"http://a"},
          .token = "t",
          .worker = "kube",
          .standing = {"outside", 20, 1000},
          .no_cache = true,
          .task = task_of(R"({"steps":[{"run":"true"}]})")};
}

TEST(Handover, ReadsBackWhatWasWritten) {
  const auto back = decode_handover(encode(handover()));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->urls, handover().urls);
  EXPECT_EQ(back->token, "t");
  EXPECT_EQ(back->standing.worker_id, "outside");
  EXPECT_TRUE(back->no_cache);
  EXPECT_EQ(back->task.spec_json, handover().task.spec_json);
  EXPECT_EQ(back->task.fence, 5);
}

TEST(Handover, WhatIsNotWholeIsRefused) {
  for (const char* bad : {"", "[]", "{}", R"({"urls":[],"standing":{},"grant":{"tasks":[]}})"})
    EXPECT_FALSE(decode_handover(bad).ok()) << bad;
}

TEST(OneTask, IsGrantedOnceUnderTheStandingOfTheWorkerOutside) {
  FakeServer server;
  OneTask one(handover());
  const auto api = one.connect(std::make_unique<FakeApi>(server));
  EXPECT_EQ(api->register_worker({})->worker_id, "outside");
  EXPECT_EQ(api->register_worker({})->worker_id, "w1");
  EXPECT_EQ(api->poll({"outside", 1, 0}, {})->size(), 1U);
  EXPECT_EQ(api->poll({"outside", 1, 0}, {})->size(), 0U);
  EXPECT_EQ(one.wait(Millis(0)), OneTask::End::none);
  ASSERT_TRUE(api->complete({"outside", {{.task_id = "r.1.1", .fence = 5}}, 1}).ok());
  EXPECT_EQ(one.wait(Millis(0)), OneTask::End::settled);
}

TEST(OneTask, ItsLogGoesOnBehindWhatWasThere) {
  FakeServer server;
  server.logs["r.1.1"] = "before\n";
  OneTask one(handover());
  const auto api = one.connect(std::make_unique<FakeApi>(server));
  EXPECT_EQ(*api->logs({"outside", "r.1.1", 5, 0, {{.text = "abc"}}}), 3);
  EXPECT_EQ(*api->logs({"outside", "r.1.1", 5, 0, {}}), 3);
  EXPECT_EQ(*api->logs({"outside", "r.1.1", 5, 3, {{.text = "def"}}}), 6);
  EXPECT_EQ(server.log("r.1.1"), "before\nabcdef");
}

TEST(OneTask, AGrantThatIsOverStartsNothing) {
  FakeServer server;
  server.failing = 1;
  OneTask one(handover());
  const auto api = one.connect(std::make_unique<FakeApi>(server));
  EXPECT_FALSE(api->poll({"outside", 1, 0}, {}).ok()) << "nobody has said that it holds";
  server.lost = {"r.1.1"};
  EXPECT_EQ(api->poll({"outside", 1, 0}, {})->size(), 0U);
  EXPECT_EQ(one.wait(Millis(0)), OneTask::End::lost);
}

TEST(OneTask, ALostAttemptEndsIt) {
  FakeServer server;
  server.lost = {"r.1.1"};
  OneTask one(handover());
  const auto api = one.connect(std::make_unique<FakeApi>(server));
  ASSERT_TRUE(api->heartbeat({}, {}).ok());
  EXPECT_EQ(one.wait(Millis(0)), OneTask::End::lost);
}

}  // namespace
}  // namespace mc::worker
