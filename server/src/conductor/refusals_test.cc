// What the conductor refuses, with which code, and what it takes instead.
#include <gmock/gmock.h>

#include "conductor/core_rig_test.h"

namespace mc::conductor {
namespace {

using testing::HasSubstr;
constexpr const char* kWaits = "jobs: {a: {wait: 1h}}";

class Refusals : public CoreRig {
 protected:
  Refusals() { boot(); }

  // The code of what `call` answers; nullopt: it was taken.
  template <class T, class Call>
  std::optional<Code> refused(Call call) {
    Reply<T> reply;
    call(reply.done());
    core->tick(now);
    flush();
    EXPECT_TRUE(reply.here());
    if (!reply.here() || reply.value->ok()) return std::nullopt;
    message = reply.value->error().message;
    problems = reply.value->error().problems.size();
    return reply.code();
  }
  std::optional<Code> start_refused(StartRun request) {
    return refused<RunView>(
        [&](Done<RunView> done) { core->start_run(std::move(request), now, std::move(done)); });
  }
  std::optional<Code> approve(Uuid run, const std::string& job) {
    Decision decision{.principal = kAda, .run = run, .job = job, .approve = true};
    decision.principal.name = "grace";
    return refused<std::string>(
        [&](Done<std::string> done) { core->decide(decision, now, std::move(done)); });
  }
  std::optional<Code> schedule(const std::string& spec) {
    return refused<std::string>([&](Done<std::string> done) {
      core->create_schedule(kAda, "w", *parse_json(spec), now, std::move(done));
    });
  }
  std::string only_schedule() {
    Reply<std::string> reply;
    core->schedules(kAda, now, reply.done());
    flush();
    return parse_json(*reply)->find("items")->as_list().at(0).string_or("id", "");
  }

  std::string message;
  std::size_t problems = 0;
};

TEST_F(Refusals, AVersionThatIsNotThere) {
  put("w", kWaits);
  StartRun request{.principal = kAda, .workflow = "w", .version = 2};
  EXPECT_EQ(start_refused(request), Code::workflow_not_found);
  EXPECT_THAT(message, HasSubstr("w has no version 2"));
  request.version = 1;
  EXPECT_EQ(start_refused(request), std::nullopt);
}

TEST_F(Refusals, NothingIsStartedByAServerThatStops) {
  const Uuid run = start(kWaits);
  core->drain();
  EXPECT_EQ(start_refused(request(kWaits)), Code::shutting_down);
  EXPECT_EQ(refused<RunView>([&](Done<RunView> done) {
              core->rerun({.principal = kAda, .run = run}, now, std::move(done));
            }),
            Code::shutting_down);
}

TEST_F(Refusals, ARerunOfARunThatIsOpen) {
  const Uuid run = start(kWaits);
  const auto rerun = [&] {
    return refused<RunView>([&](Done<RunView> done) {
      core->rerun({.principal = kAda, .run = run}, now, std::move(done));
    });
  };
  EXPECT_EQ(rerun(), Code::run_not_final);
  EXPECT_THAT(message, HasSubstr("the run is waiting"));
  pass(std::chrono::hours(2));
  EXPECT_EQ(rerun(), std::nullopt);
}

TEST_F(Refusals, ARunIsDeletedRightAfterItsEnd) {
  const Uuid run = start(kWaits);
  const auto deletion = [&](Reply<bool>& reply) { core->delete_run(kAda, run, now, reply.done()); };
  Reply<bool> early, late;
  deletion(early);
  EXPECT_EQ(early.code(), Code::run_not_final);
  now = now + std::chrono::hours(1);
  core->tick(now);  // over, and not on the disk yet
  deletion(late);
  EXPECT_FALSE(late.here());
  flush();
  core->tick(now);
  flush();
  ASSERT_TRUE(late.here() && late.value->ok());
  EXPECT_EQ(status(run), "?");
}

TEST_F(Refusals, AnApprovalThatIsNotMeant) {
  const Uuid none = start(kWaits);
  const Uuid two = start("jobs: {a: {approve: {}}, b: {approve: {}}}");
  EXPECT_EQ(approve(none, ""), Code::not_found);
  EXPECT_EQ(approve(two, ""), Code::conflict);
  EXPECT_EQ(problems, 2U);
  EXPECT_EQ(approve(two, "c"), Code::not_found);
  EXPECT_EQ(approve(two, "a"), std::nullopt);
  EXPECT_EQ(approve(two, ""), std::nullopt) << message;  // b is the only one left
  EXPECT_EQ(status(two), "succeeded");
}

TEST_F(Refusals, AReasonIsAskedOfAJobThatIsNotThere) {
  const Uuid run = start(kWaits);
  const auto why = [&](const char* job) {
    return refused<std::string>(
        [&](Done<std::string> done) { core->why(kAda, run, job, now, std::move(done)); });
  };
  EXPECT_EQ(why("z"), Code::job_not_found);
  EXPECT_EQ(why("a"), std::nullopt);
  EXPECT_EQ(why(""), std::nullopt);
}

TEST_F(Refusals, ADrainedWorkerGetsNothingUntilItIsCalledBack) {
  Reply<wire::RegisterReply> registered;
  core->register_worker(kAda, {"w", {"linux"}, 1, "1"}, now, registered.done());
  const std::string id = (*registered).worker_id;
  const auto drain = [&](const std::string& worker, bool on) {
    return refused<std::string>(
        [&](Done<std::string> done) { core->drain_worker(worker, on, now, std::move(done)); });
  };
  EXPECT_EQ(drain("nobody", true), Code::worker_not_found);
  EXPECT_EQ(drain(id, true), std::nullopt);
  Reply<std::vector<Task>> poll;
  core->poll({id, 1, 30'000}, now, poll.done());
  start("jobs: {a: {runs_on: [linux], steps: [{run: 'true'}]}}");
  EXPECT_FALSE(poll.here() && !(*poll).empty());
  if (poll.here()) core->poll({id, 1, 30'000}, now, (poll.value.reset(), poll.done()));
  EXPECT_EQ(drain(id, false), std::nullopt);
  ASSERT_TRUE(poll.here());
  EXPECT_EQ((*poll).size(), 1U);
}

TEST_F(Refusals, AScheduleWithAFieldOrValueThatIsWrong) {
  put("w", kWaits);
  EXPECT_EQ(schedule(R"([])"), Code::invalid_field);
  EXPECT_EQ(schedule(R"({})"), Code::missing_field);
  EXPECT_EQ(schedule(R"({"crom": "* * * * *"})"), Code::unknown_field);
  EXPECT_THAT(message, HasSubstr("did you mean cron?"));
  EXPECT_EQ(schedule(R"({"zzzzzzzzzz": 1})"), Code::unknown_field);
  EXPECT_EQ(schedule(R"({"cron": "61 * * * *"})"), Code::invalid_field);
  EXPECT_EQ(schedule(R"({"cron": "* * * * *", "timezone": "Mars/Base"})"), Code::invalid_field);
  EXPECT_THAT(message, HasSubstr("timezone"));
  for (const char* field : {"overlap", "catch_up", "catch_up_window", "jitter"}) {
    for (const char* value : {"\"never\"", "7"}) {
      const std::string spec =
          R"({"cron": "* * * * *", ")" + std::string(field) + "\": " + value + "}";
      EXPECT_EQ(schedule(spec), Code::invalid_field) << spec;
      EXPECT_THAT(message, HasSubstr(field));
    }
  }
  EXPECT_EQ(schedule(R"({"cron": "* * * * *", "inputs": {"x": 1}})"), Code::invalid_input);
}

TEST_F(Refusals, AnActionOfAScheduleThatIsNotKnownAndTooManyFires) {
  put("w", kWaits);
  ASSERT_EQ(schedule(R"({"cron": "* * * * *"})"), std::nullopt) << message;
  const std::string id = only_schedule();
  const auto act = [&](const char* action) {
    return refused<std::string>([&](Done<std::string> done) {
      core->schedule_action(kAda, id, action, now, std::move(done));
    });
  };
  const auto backfill = [&](std::chrono::hours span) {
    return refused<std::string>([&](Done<std::string> done) {
      core->backfill(kAda, id, now - Millis(span), now, true, now, std::move(done));
    });
  };
  EXPECT_EQ(act("hurry"), Code::invalid_field);
  EXPECT_EQ(act("pause"), std::nullopt);
  EXPECT_EQ(act("resume"), std::nullopt);
  EXPECT_EQ(backfill(std::chrono::hours(0)), Code::invalid_field);
  EXPECT_EQ(backfill(std::chrono::hours(17)), Code::limit_exceeded);
  EXPECT_EQ(backfill(std::chrono::hours(16)), std::nullopt);
  EXPECT_EQ(act("delete"), std::nullopt);
  EXPECT_EQ(act("pause"), Code::not_found);
}

TEST_F(Refusals, APutThatHoldsARecordForWhatItIsNoMore) {
  const auto write = [&](std::int64_t expected) {
    return refused<bool>([&](Done<bool> done) {
      core->put_records({{"settings", "x", "{}", expected}}, std::nullopt, std::move(done));
    });
  };
  EXPECT_EQ(write(0), std::nullopt);
  EXPECT_EQ(write(0), Code::conflict);
  EXPECT_EQ(write(1), std::nullopt);
}

}  // namespace
}  // namespace mc::conductor
