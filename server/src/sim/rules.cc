#include "sim/rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "engine/limits.h"

namespace mc::sim {
namespace {
using engine::JobState;
using engine::kNoNode;
using engine::RunState;
using Broken = std::optional<std::string>;

bool worked(const JobState& job) {
  return job.status == JobStatus::succeeded || job.status == JobStatus::reused ||
         (job.status == JobStatus::failed && job.tolerated) ||
         (job.status == JobStatus::timed_out && job.tolerated);
}
bool went_wrong(const JobState& job) {
  return job.status == JobStatus::denied ||
         ((job.status == JobStatus::failed || job.status == JobStatus::timed_out) &&
          !job.tolerated);
}
bool is_cell(const JobState& job) {
  return job.parent != kNoNode && job.phase != Phase::compensate;
}
bool outlives(const JobState& job) {
  const std::string& condition = job.spec->condition;
  return condition.find("always()") != std::string::npos ||
         condition.find("cancelled()") != std::string::npos;
}
std::size_t list_begin(const RunState& run, Phase phase) {
  const WorkflowSpec& spec = run.definition->spec;
  if (phase == Phase::graph) return 0;
  return spec.jobs.size() + (phase == Phase::finally ? spec.on_failure.size() : 0);
}

// --- starting ---

Broken out_of_order(const RunState& run, const JobState& job) {
  const std::size_t first = list_begin(run, job.phase);
  for (const JobIndex need : job.spec->needs) {
    const JobState& before = run.jobs.at(first + need);
    if (!is_final(before.status))
      return fmt::format("{} starts before {}, which it needs, has ended", job.key, before.key);
    if (job.spec->condition.empty() && !worked(before))
      return fmt::format("{} starts though {}, which it needs, has {}", job.key, before.key,
                         to_name(before.status));
  }
  if (run.cancel_requested && job.phase == Phase::graph && !outlives(job))
    return job.key + " starts after its run was cancelled";
  return std::nullopt;
}

Broken undone_out_of_order(const RunState& run, const JobState& job) {
  for (const JobState& other : run.jobs) {
    if (other.phase != Phase::compensate || is_final(other.status)) continue;
    if (run.jobs.at(other.parent).finished_at > run.jobs.at(job.parent).finished_at)
      return fmt::format("{} is undone before {}, which succeeded later", job.key, other.key);
  }
  return std::nullopt;
}

Broken start_of_cell(const RunState& run, const JobState& job) {
  const JobState& group = run.jobs.at(job.parent);
  const bool failed = std::ranges::any_of(
      group.cells, [&](NodeIndex cell) { return went_wrong(run.jobs.at(cell)); });
  if (failed && group.spec->fail_fast)
    return job.key + " starts after another cell failed, and fail_fast is set";
  return std::nullopt;
}

// A node that nothing was done with leaves `pending` to be done.
Broken begins(const RunState& run, const JobState& job) {
  if (job.status != JobStatus::pending) return std::nullopt;
  if (job.phase == Phase::compensate) return undone_out_of_order(run, job);
  return is_cell(job) ? start_of_cell(run, job) : out_of_order(run, job);
}

Broken skipped(const RunState& run, const JobState& job) {
  if (!job.spec->condition.empty() || job.group || is_cell(job)) return std::nullopt;
  if (job.phase != Phase::graph || !run.phase_begun || run.jobs.empty()) return std::nullopt;
  const bool fine = std::ranges::all_of(job.spec->needs,
                                        [&](JobIndex need) { return worked(run.jobs.at(need)); });
  if (fine && !run.cancel_requested) return job.key + " is skipped though all it needs succeeded";
  return std::nullopt;
}

// --- trying again ---

bool may_retry(const JobState& job, FailureKind kind, std::optional<int> exit_code) {
  const RetrySpec& retry = job.spec->retry;
  if (!retry.given)
    return kind == FailureKind::lost_worker && job.spec->effects != Effects::external &&
           job.attempt <= engine::kLostWorkerRetries;
  if (job.attempt >= retry.attempts) return false;
  const bool named = std::ranges::any_of(
      retry.on, [&](const std::string& on) { return on == "any" || on == to_name(kind); });
  return named || (exit_code && std::ranges::count(retry.exit_codes, *exit_code) > 0);
}

Broken retries(const RunState& run, const JobState& job, const JobRetrying& e, Instant now) {
  if (run.cancel_requested) return job.key + " is tried again after its run was cancelled";
  if (!may_retry(job, e.failure_kind, e.exit_code))
    return fmt::format("attempt {} of {} ({}) is followed by another", job.attempt, job.key,
                       to_name(e.failure_kind));
  const RetrySpec& retry = job.spec->retry;
  const auto least = static_cast<std::int64_t>(
      static_cast<double>(std::min(retry.backoff, retry.max).count()) * (1 - retry.jitter));
  if (retry.given && e.until < now + Millis(least))
    return job.key + " is tried again before its backoff";
  return std::nullopt;
}

Broken gives_up(const RunState& run, const JobState& job, const JobFinished& e) {
  const bool bad = e.status == JobStatus::failed || e.status == JobStatus::timed_out;
  if (!bad || job.status != JobStatus::running || job.group || run.cancel_requested)
    return std::nullopt;
  if (may_retry(job, e.failure_kind, e.exit_code))
    return fmt::format("attempt {} of {} ({}) is the last though its retry says otherwise",
                       job.attempt, job.key, to_name(e.failure_kind));
  return std::nullopt;
}

// --- waiting ---

Broken decided(const JobState& job, const JobFinished& e, Instant now) {
  const engine::Approval& approval = *job.detail->approval;
  const auto yes =
      std::ranges::count_if(approval.votes, [](const engine::Vote& vote) { return vote.approved; });
  const auto all = static_cast<std::ptrdiff_t>(approval.votes.size());
  if (e.status == JobStatus::succeeded && (yes < approval.request.count || yes < all))
    return fmt::format("{} is approved with {} votes of {} wanted", job.key, yes,
                       approval.request.count);
  if (e.status == JobStatus::denied && yes == all)
    return job.key + " is denied, nobody rejected it";
  if (e.status == JobStatus::timed_out && now < approval.request.expires_at)
    return job.key + " expires before its time";
  return std::nullopt;
}

Broken votes(const RunState& run, const JobState& job, const ApprovalDecided& e) {
  const engine::Approval& approval = *job.detail->approval;
  for (const engine::Vote& vote : approval.votes) {
    if (vote.by == e.by) return e.by + " votes twice on " + job.key;
  }
  if (!approval.request.self && e.by == run.facts.actor)
    return e.by + " votes on the own run " + job.key;
  return std::nullopt;
}

Broken begins_waiting(const JobState& job, const JobWaiting& e, Instant now) {
  if (e.reason != Reason::timer || job.spec->wait->duration.empty()) return std::nullopt;
  const auto duration = parse_duration(job.spec->wait->duration);
  if (duration && e.until != now + *duration)
    return fmt::format("{} is to wait {} and waits another time", job.key,
                       job.spec->wait->duration);
  return std::nullopt;
}

// --- the end ---

Broken left_open(const RunState& run, RunStatus status, bool began) {
  const bool wants_failure_jobs =
      status != RunStatus::succeeded && status != RunStatus::cancelled && began;
  for (const JobState& job : run.jobs) {
    if (is_final(job.status)) continue;
    const bool wanted = job.phase == Phase::graph || job.phase == Phase::compensate ||
                        (job.phase == Phase::finally && began) ||
                        (job.phase == Phase::on_failure && wants_failure_jobs);
    // Jobs of on_failure are found out of place when the output of a run that went well is wrong.
    const bool late = job.phase == Phase::on_failure && run.phase != Phase::graph;
    if (wanted && !late) return "the run ends before " + job.key;
  }
  return std::nullopt;
}

Broken left_undone(const RunState& run, RunStatus status) {
  if (status == RunStatus::succeeded) return std::nullopt;
  for (NodeIndex node = 0; node < run.jobs.size(); ++node) {
    const JobState& job = run.jobs[node];
    const bool leaf = !job.group || job.cells.empty();
    if (job.phase != Phase::graph || !leaf || job.status != JobStatus::succeeded) continue;
    if (job.spec->compensate.empty() || run.phase == Phase::graph) continue;
    const bool undone = std::ranges::any_of(run.jobs, [&](const JobState& other) {
      return other.phase == Phase::compensate && other.parent == node;
    });
    if (!undone) return "the run ended badly and " + job.key + " is not undone";
  }
  return std::nullopt;
}

RunStatus deserved(const RunState& run) {
  if (run.run_timed_out) return RunStatus::timed_out;
  if (run.cancel_requested) return RunStatus::cancelled;
  RunStatus status = RunStatus::succeeded;
  for (const JobState& job : run.jobs) {
    if (is_cell(job) && job.phase == Phase::graph) continue;
    if (job.status == JobStatus::denied) return RunStatus::denied;
    if (went_wrong(job) || job.status == JobStatus::cancelled) status = RunStatus::failed;
  }
  return status;
}

Broken ends(const RunState& run, const RunFinished& e, bool began) {
  const RunStatus wanted = deserved(run);
  const bool bad_output = wanted == RunStatus::succeeded && e.message.starts_with("output ");
  if (e.status != wanted && !bad_output)
    return fmt::format("the run ends {}, its jobs say {}", to_name(e.status), to_name(wanted));
  if (bad_output) return std::nullopt;
  const auto open = left_open(run, e.status, began);
  // What goes wrong in `finally` comes too late for anything to be undone.
  return open || run.phase == Phase::finally ? open : left_undone(run, e.status);
}
}  // namespace

Broken Rules::take_signal(const std::string& name) {
  if (--signals_[name] >= 0) return std::nullopt;
  return "a wait for " + name + " ends by a signal that another wait has used";
}

// `message` is of an attempt that failed by a child run: it names the run.
Broken Rules::take_child(const JobState& job, const std::string& message) {
  constexpr std::string_view kNamed = "child run ";
  if (job.reason != Reason::child || !message.starts_with(kNamed)) return std::nullopt;
  const std::string child = message.substr(kNamed.size(), message.find(' ', kNamed.size()));
  if (children_.insert(child).second) return std::nullopt;
  return "two attempts of " + job.key + " end by one child run";
}

Broken Rules::outlasts_cancel(const RunState& run, NodeIndex node, const JobFinished& e,
                              Instant now) const {
  if (!to_cancel_.contains(node) || (e.status == JobStatus::cancelled && now <= cancelled_))
    return std::nullopt;
  return run.jobs.at(node).key + " goes on waiting after its run was cancelled";
}

Broken Rules::broken_by(const RunState& run, const Event& event) {
  if (const auto* e = std::get_if<RunFinished>(&event.body)) return ends(run, *e, began_);
  if (const auto* e = std::get_if<PhaseStarted>(&event.body))
    return e->phase == Phase::finally ? left_undone(run, deserved(run)) : std::nullopt;
  // A run that is cancelled before its turn is told to have started only to be ended.
  if (std::holds_alternative<RunStarted>(event.body)) began_ = !run.cancel_requested;
  if (const auto* e = std::get_if<SignalReceived>(&event.body)) ++signals_[e->event];
  if (std::holds_alternative<RunCancelling>(event.body) && run.phase_begun) {
    cancelled_ = event.time;
    for (NodeIndex node = 0; node < run.jobs.size(); ++node) {
      const JobState& job = run.jobs[node];
      // A job that outlives a cancel and has not its lock yet has not begun.
      const bool goes_on = job.reason == Reason::lock && outlives(job);
      if (job.phase == Phase::graph && job.status == JobStatus::waiting && !goes_on)
        to_cancel_.insert(node);
    }
  }
  const auto at = [&](NodeIndex node) -> const JobState& { return run.jobs.at(node); };
  if (const auto* e = std::get_if<JobExpanded>(&event.body)) return begins(run, at(e->node));
  if (const auto* e = std::get_if<ApprovalRequested>(&event.body)) return begins(run, at(e->node));
  if (const auto* e = std::get_if<ApprovalDecided>(&event.body)) return votes(run, at(e->node), *e);
  if (const auto* e = std::get_if<JobRetrying>(&event.body)) {
    const auto twice = take_child(at(e->node), e->message);
    return twice ? twice : retries(run, at(e->node), *e, event.time);
  }
  if (const auto* e = std::get_if<JobWaiting>(&event.body)) {
    const auto early = begins(run, at(e->node));
    return early ? early : begins_waiting(at(e->node), *e, event.time);
  }
  if (const auto* e = std::get_if<JobStarted>(&event.body)) {
    const JobState& job = at(e->node);
    if (e->fence <= job.fence || e->attempt != job.attempt + 1)
      return "the fence or the attempt of " + job.key + " does not grow";
    return std::nullopt;
  }
  if (const auto* e = std::get_if<JobReady>(&event.body)) {
    const JobState& job = at(e->node);
    if (job.status == JobStatus::retrying && event.time < job.due)
      return job.key + " is ready before its backoff is over";
    return begins(run, job);
  }
  const auto* e = std::get_if<JobFinished>(&event.body);
  if (e == nullptr) return std::nullopt;
  const JobState& job = at(e->node);
  if (const auto late = outlasts_cancel(run, e->node, *e, event.time)) return late;
  if (const auto twice = take_child(job, e->message)) return twice;
  if (e->status == JobStatus::skipped) return skipped(run, job);
  if (e->status == JobStatus::reused && job.status == JobStatus::pending) return begins(run, job);
  if (job.status == JobStatus::waiting && job.reason == Reason::approval &&
      e->status != JobStatus::cancelled)
    return decided(job, *e, event.time);
  if (job.status == JobStatus::waiting && e->status == JobStatus::succeeded) {
    if (job.reason == Reason::signal) return take_signal(job.wait_detail);
    if (job.reason == Reason::timer && event.time < job.due)
      return job.key + " ends its wait before the time";
  }
  return gives_up(run, job, *e);
}

}  // namespace mc::sim
