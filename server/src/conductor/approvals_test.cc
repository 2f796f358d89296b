#include "conductor/core_rig_test.h"

namespace mc::conductor {
namespace {

class Approvals : public CoreRig {
 protected:
  Approvals() { boot(); }
};

TEST_F(Approvals, ApprovalsAreFoundBeforeAndAfterARestartAndWhenTheRunIsOver) {
  const Uuid first = start("jobs: {a: {approve: {count: 2}}}");
  now = now + Millis(1);
  const Uuid second = start("jobs: {a: {approve: {}}, b: {needs: a, wait: 1h}}");
  const auto waiting = [&] {
    Reply<std::string> reply;
    core->approvals(kAda, "waiting", reply.done());
    flush();
    std::vector<std::string> runs;
    const Value list = *parse_json(*reply);
    for (const Value& item : list.find("items")->as_list())
      runs.push_back(item.string_or("run", ""));
    return runs;
  };
  const auto id_of = [&](Uuid run) {
    Reply<std::string> reply;
    core->approvals(kAda, "", reply.done());
    flush();
    const Value list = *parse_json(*reply);
    for (const Value& item : list.find("items")->as_list()) {
      if (item.string_or("run", "") == to_string(run)) return *parse_uuid(item.string_or("id", ""));
    }
    return Uuid{};
  };
  const auto decide = [&](Uuid approval, const char* who) {
    Decision decision;
    decision.principal = kAda;
    decision.principal.name = who;
    decision.approval = approval;
    decision.approve = true;
    Reply<std::string> reply;
    core->decide(decision, now, reply.done());
    flush();
    return reply.value->ok() ? std::string("ok") : std::string(code_name(reply.code()));
  };
  EXPECT_EQ(waiting(), (std::vector<std::string>{to_string(first), to_string(second)}));
  const Uuid one = id_of(first), two = id_of(second);
  EXPECT_EQ(decide(one, "bob"), "ok");
  boot();
  EXPECT_EQ(waiting().size(), 2U);
  EXPECT_EQ(decide(one, "bob"), "already_decided");
  EXPECT_EQ(decide(one, "carl"), "ok");
  EXPECT_EQ(status(first), "succeeded");
  EXPECT_EQ(decide(one, "carl"), "already_decided") << "the run is over";
  EXPECT_EQ(decide(two, "bob"), "ok");
  EXPECT_EQ(decide(two, "bob"), "already_decided") << "the run goes on";
  EXPECT_TRUE(waiting().empty());
  EXPECT_EQ(decide(Uuid{1, 1}, "bob"), "not_found");
}

TEST_F(Approvals, ACancelBringsTheEndOfAnApprovalForward) {
  const Uuid run = start("jobs: {a: {approve: {}}}\nfinally: {ask: {approve: {expires: 7d}}}");
  const auto listed = [&] {
    Reply<std::string> reply;
    core->approvals(kAda, "waiting", reply.done());
    flush();
    return parse_json(*reply)->find("items")->as_list().front();
  };
  Reply<std::string> decided;
  core->decide({.principal = kAda, .run = run, .job = "a", .approve = true}, now, decided.done());
  flush();
  ASSERT_EQ(listed().string_or("job", ""), "ask");
  EXPECT_EQ(listed().string_or("expires_at", ""), to_rfc3339(now + std::chrono::days(7)));
  Reply<RunView> cancelled;
  core->cancel_run(kAda, run, "", now, cancelled.done());
  flush();
  EXPECT_LT(listed().string_or("expires_at", ""), to_rfc3339(now + std::chrono::minutes(10)));
}
}  // namespace
}  // namespace mc::conductor
