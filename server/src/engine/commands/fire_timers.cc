#include "base/check.h"
#include "engine/decide.h"
#include "engine/limits.h"
#include "engine/progress.h"

namespace mc::engine {
namespace {
void give_up_attempt(Transition& t, NodeIndex node) {
  fail_attempt(t, node,
               {.kind = FailureKind::timeout,
                .status = JobStatus::timed_out,
                .message = "the worker did not end the job by its deadline"},
               nullptr);
}

void end_wait(Transition& t, NodeIndex node) {
  const JobState& job = t.job(node);
  switch (job.reason) {
    case Reason::timer: t.finish(node, JobStatus::succeeded); return;
    case Reason::approval:
      t.emit(ApprovalExpired{.node = node, .job = job.key});
      t.finish(node, JobStatus::timed_out, FailureKind::timeout, "nobody decided in time");
      return;
    case Reason::signal:
      t.finish(node, JobStatus::timed_out, FailureKind::timeout,
               "the signal " + job.wait_detail + " did not come in time");
      return;
    case Reason::child:
      fail_attempt(t, node,
                   {.kind = FailureKind::timeout,
                    .status = JobStatus::timed_out,
                    .message = "the child run did not end in time"},
                   nullptr);
      return;
    case Reason::lock:
      t.finish(node, JobStatus::timed_out, FailureKind::timeout,
               "the concurrency group " + job.wait_detail + " was not free in time");
      return;
    case Reason::none:
    case Reason::capacity:
    case Reason::schedule:
    case Reason::quota:
    case Reason::policy:
    case Reason::backoff:
    case Reason::upstream:
    case Reason::worker:
    case Reason::matrix_limit:
    case Reason::cancel:
    case Reason::settling: MC_CHECK(false);
  }
}

void fire(Transition& t, NodeIndex node) {
  const JobState& job = t.job(node);
  switch (job.status) {
    case JobStatus::ready:
      t.finish(node, JobStatus::timed_out, FailureKind::timeout, "no worker took it in time");
      return;
    case JobStatus::running:
      // A cancel has cut its time: its worker does not know, and has its own `finally` to run.
      if (t.run().cancel_requested) return stop_at_work(t, node, true);
      return give_up_attempt(t, node);
    case JobStatus::waiting: return end_wait(t, node);
    case JobStatus::retrying:
      if (job.spec->kind == JobKind::workflow) return start_node(t, node);
      t.emit(JobReady{.node = node, .job = job.key});
      return;
    case JobStatus::cancelling:
      t.finish(node, job.cancel_timed_out ? JobStatus::timed_out : JobStatus::cancelled,
               FailureKind::none, "the worker did not stop in time");
      return;
    case JobStatus::pending:
    case JobStatus::succeeded:
    case JobStatus::failed:
    case JobStatus::cancelled:
    case JobStatus::timed_out:
    case JobStatus::denied:
    case JobStatus::skipped:
    case JobStatus::reused: MC_CHECK(false);
  }
}
}  // namespace

Events fire_timers(RunState& run, const Ambient& ambient) {
  if (is_final(run.status)) return {};
  if (run.deadline && run.deadline <= ambient.now) {
    return *cancel_run(run, {.by = "system", .message = "the run's time is up", .timed_out = true},
                       ambient);
  }
  Transition t(run, ambient);
  while (!run.dues.empty() && run.dues.begin()->first <= ambient.now) {
    fire(t, run.dues.begin()->second);
  }
  t.settle();
  return t.take_events();
}
}  // namespace mc::engine
