#include <algorithm>

#include "engine/decide.h"
#include "engine/limits.h"

namespace mc::engine {
namespace {
bool entitled(const ApprovalRequested& request, const Voter& voter, const std::string& starter) {
  if (!request.self && voter.name == starter) return false;
  if (request.by.empty()) return true;
  return std::any_of(request.by.begin(), request.by.end(), [&](const std::string& who) {
    if (who == "user:" + voter.name || who == "role:" + voter.role) return true;
    return std::any_of(voter.groups.begin(), voter.groups.end(),
                       [&](const std::string& group) { return who == "group:" + group; });
  });
}
}  // namespace

Result<Events> decide_approval(RunState& run, NodeIndex node, const Decide& command,
                               const Ambient& ambient) {
  if (node >= run.jobs.size()) return Error{Code::job_not_found, "there is no such job", {}};
  const JobState& job = run.jobs[node];
  if (job.status != JobStatus::waiting || job.reason != Reason::approval) {
    return Error{Code::already_decided,
                 "this approval is over: the job has " + std::string(to_name(job.status)),
                 {}};
  }
  const Approval& approval = *job.detail->approval;
  if (!command.alone && !entitled(approval.request, command.voter, run.facts.actor)) {
    const bool own = !approval.request.self && command.voter.name == run.facts.actor;
    return Error{Code::not_an_approver,
                 own ? "whoever started the run may not decide it (self: false)"
                     : command.voter.name + " is not among those who may decide",
                 {}};
  }
  const bool again = std::any_of(approval.votes.begin(), approval.votes.end(),
                                 [&](const Vote& vote) { return vote.by == command.voter.name; });
  if (again) return Error{Code::already_decided, command.voter.name + " has decided already", {}};
  Transition t(run, ambient);
  t.emit(ApprovalDecided{.node = node,
                         .job = job.key,
                         .by = command.voter.name,
                         .approved = command.approve,
                         .comment = command.comment});
  const auto approvals = std::count_if(approval.votes.begin(), approval.votes.end(),
                                       [](const Vote& vote) { return vote.approved; });
  if (!command.approve) {
    t.finish(node, JobStatus::denied, FailureKind::policy,
             "rejected by " + command.voter.name +
                 (command.comment.empty() ? "" : ": " + command.comment));
  } else if (command.alone || approvals >= approval.request.count) {
    t.finish(node, JobStatus::succeeded);
  }
  t.settle();
  return t.take_events();
}
}  // namespace mc::engine
