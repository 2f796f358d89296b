// What `why` says of ready jobs, and in which order workers get them.
#include "conductor/core_rig_test.h"

namespace mc::conductor {
namespace {
class WaitsTest : public CoreRig {
 protected:
  WaitsTest() { boot(); }

  std::string worker(const std::string& name, std::vector<std::string> labels) {
    Reply<wire::RegisterReply> reply;
    core->register_worker(kAda, {name, std::move(labels), 2, "1"}, now, reply.done());
    return (*reply).worker_id;
  }
  std::vector<Task> poll(const std::string& id, int max) {
    Reply<std::vector<Task>> reply;
    core->poll({id, max, 0}, now, reply.done());
    core->tick(now);
    flush();
    return *reply;
  }
  std::string waits_for(Uuid run) {
    Reply<std::string> reply;
    core->why(kAda, run, "", reply.done());
    return parse_json(*reply)->find("items")->as_list().at(0).string_or("waits_for", "?");
  }
};

std::string job_on(const std::string& labels, int priority = 0) {
  return "priority: " + std::to_string(priority) + "\njobs: {a: {runs_on: [" + labels +
         "], steps: [{run: x}]}}";
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

TEST_F(WaitsTest, SaysWhoIsDrainingAndHowToResume) {
  EXPECT_EQ(waits_for(start(job_on(""))),
            "no worker is registered; start one with `maestro worker`");
  const std::string id = worker("w1", {"linux"});
  Reply<std::string> drained;
  core->drain_worker(id, true, now, drained.done());
  EXPECT_EQ(waits_for(start(job_on(""))),
            "every worker is draining: w1 (`maestro workers resume " + id + "`)");
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
