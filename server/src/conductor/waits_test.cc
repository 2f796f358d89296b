// What `why` says of ready jobs, and in which order workers get them.
#include <algorithm>
#include <set>

#include "conductor/core_rig_test.h"

namespace mc::conductor {
namespace {
class WaitsTest : public CoreRig {
 protected:
  WaitsTest() { boot(); }

  std::string worker(const std::string& name, std::vector<std::string> labels,
                     Resources resources = {}) {
    Reply<wire::RegisterReply> reply;
    core->register_worker(kAda, {name, std::move(labels), 2, "1", "", "", resources}, now,
                          reply.done());
    return (*reply).worker_id;
  }
  std::vector<Task> poll(const std::string& id, int max) {
    Reply<std::vector<Task>> reply;
    core->poll({id, max, 0}, now, reply.done());
    core->tick(now);
    flush();
    return *reply;
  }
  void start_other();
  std::string waits_for(Uuid run) {
    Reply<std::string> reply;
    core->why(kAda, run, "", now, reply.done());
    return parse_json(*reply)->find("items")->as_list().at(0).string_or("waits_for", "?");
  }
};

std::string job_on(const std::string& labels, int priority = 0) {
  return "priority: " + std::to_string(priority) + "\njobs: {a: {runs_on: [" + labels +
         "], steps: [{run: x}]}}";
}

void WaitsTest::start_other() {
  StartRun run = request(job_on(""));
  run.principal.project = "other";
  start(std::move(run));
}

TEST_F(WaitsTest, SaysWhatEachWorkerLacks) {
  const Uuid run = start(job_on("linux, gpu"));
  EXPECT_EQ(waits_for(run),
            "no registered worker has the labels [linux, gpu]; "
            "start one with `maestro worker --labels linux,gpu`");
  worker("w1", {"linux"});
  EXPECT_EQ(waits_for(run),
            "no registered worker has the labels [linux, gpu]; "
            "start one with `maestro worker --labels linux,gpu`; w1 lacks gpu");
}

TEST_F(WaitsTest, SaysWhoIsBusyAndThePriority) {
  const std::string id = worker("w1", {"linux"});
  start(job_on("linux"));
  start(job_on("linux"));
  EXPECT_EQ(poll(id, 2).size(), 2U);
  EXPECT_EQ(waits_for(start(job_on("linux", 7))),
            "every worker with the labels [linux] is busy: w1 (2 of 2 slots); its priority is 7");
}

TEST_F(WaitsTest, SaysWhoHasTooLittleAndWhatIsInUse) {
  constexpr const char* kLarge = "jobs: {a: {resources: {cpu: 3}, steps: [{run: x}]}}";
  const Uuid run = start(kLarge);
  const std::string id = worker("w1", {}, {.cpu_milli = 2000, .memory = 1 << 30});
  EXPECT_EQ(waits_for(run),
            "no registered worker has 3 CPUs; start one with `maestro worker`; "
            "w1 has 2 CPUs and 1.0 GiB in all");
  EXPECT_TRUE(poll(id, 2).empty());
  const std::string other = worker("w2", {}, {.cpu_milli = 4000});
  EXPECT_EQ(poll(other, 2).size(), 1U);
  EXPECT_EQ(waits_for(start(kLarge)),
            "every worker with 3 CPUs is busy: w2 (1 of 2 slots, 3 CPUs of 4 CPUs in use)");
  Reply<std::string> workers;
  core->workers(now, workers.done());
  EXPECT_NE((*workers).find(R"("resources":{"cpu":4.0,"memory":0},"in_use":{"cpu":3.0,)"),
            std::string::npos)
      << *workers;
}

TEST_F(WaitsTest, WhatRunsIsCountedAgainByANewConductor) {
  const std::string id = worker("w1", {}, {.cpu_milli = 4000});
  start("jobs: {a: {resources: {cpu: 3}, steps: [{run: x}]}}");
  ASSERT_EQ(poll(id, 1).size(), 1U);
  now = now + Millis(1);
  boot();
  const std::string again = worker("w1", {}, {.cpu_milli = 4000});
  const Uuid small = start("jobs: {a: {resources: {cpu: 2}, steps: [{run: x}]}}");
  EXPECT_TRUE(poll(again, 1).empty());
  EXPECT_EQ(waits_for(small),
            "every worker with 2 CPUs is busy: w1 (0 of 2 slots, 3 CPUs of 4 CPUs in use)");
}

TEST_F(WaitsTest, SaysWhoIsDrainingAndHowToResume) {
  EXPECT_EQ(waits_for(start(job_on(""))),
            "no worker is registered; start one with `maestro worker`");
  const std::string id = worker("w1", {"linux"});
  Reply<std::string> drained;
  core->drain_worker(id, true, now, drained.done());
  EXPECT_EQ(waits_for(start(job_on(""))),
            "every worker is draining: w1 (`maestro workers resume " + id + "`)");
}

TEST_F(WaitsTest, ProjectsShareByTheirWeights) {
  weights = {{"default", 3}};
  boot();
  const std::string id = worker("w1", {});
  std::set<Uuid> own;
  for (int i = 0; i < 6; ++i) {
    start_other();
    own.insert(start(job_on("")));
  }
  const auto tasks = poll(id, 8);
  EXPECT_EQ(std::count_if(tasks.begin(), tasks.end(),
                          [&](const Task& task) { return own.contains(task.run_id); }),
            6);
}

TEST_F(WaitsTest, SaysWhenAProjectWithLessGoesFirst) {
  const std::string busy = "every worker is busy: w1 (2 of 2 slots)";
  const std::string id = worker("w1", {});
  start(job_on(""));
  start(job_on(""));
  ASSERT_EQ(poll(id, 2).size(), 2U);
  const Uuid next = start(job_on(""));
  EXPECT_EQ(waits_for(next), busy);
  start_other();
  EXPECT_EQ(waits_for(next), busy +
                                 "; projects share by weight: default has 2 running at weight 1, "
                                 "and one with less goes first");
  weights = {{"default", 3}};
  boot();
  worker("w1", {});
  EXPECT_EQ(waits_for(next).find("projects share"), std::string::npos) << "2 of 3 is not too much";
}

TEST_F(WaitsTest, PrioritiesHoldAcrossARestart) {
  start(job_on("linux", -1));
  const Uuid urgent = start(job_on("linux", 3));
  boot();
  const auto tasks = poll(worker("w1", {"linux"}), 1);
  ASSERT_EQ(tasks.size(), 1U);
  EXPECT_EQ(tasks[0].run_id, urgent);
}
}  // namespace
}  // namespace mc::conductor
