#include "engine/progress.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "base/text.h"
#include "engine/conditions.h"
#include "engine/limits.h"
#include "lang/late.h"
#include "lang/matrix.h"
#include "lang/parse.h"

namespace mc::engine {
namespace {

void fail_before_start(Transition& t, NodeIndex node, const Error& error) {
  t.finish(node, JobStatus::failed, FailureKind::user, error.message);
}

// How long a job that no worker carries out waits: as its kind says, else its `timeout`, else
// `most`.
Millis patience_of(const JobState& job, Millis own, Millis most) {
  if (own.count() > 0) return own;
  return job.spec->timeout_run.count() > 0 ? job.spec->timeout_run : most;
}

// After a cancel whatever still begins to wait is bounded.
Millis bounded(Transition& t, Millis patience) {
  return t.run().cancel_requested ? std::min(patience, kFinallyTimeout) : patience;
}

void expand(Transition& t, NodeIndex node) {
  RunScope world(t.run(), node, t.ambient());
  Result<std::vector<lang::Cell>> cells =
      lang::expand_matrix(*t.job(node).spec->matrix, world.scope());
  if (!cells) return fail_before_start(t, node, cells.error());
  if (cells->empty()) {
    t.finish(node, JobStatus::skipped, FailureKind::none, "its matrix has no cells");
    return;
  }
  if (t.run().jobs.size() + cells->size() > kJobsMax) {
    return fail_before_start(t, node,
                             {Code::limit_exceeded,
                              "the run would have more than " + std::to_string(kJobsMax) + " jobs",
                              {}});
  }
  // Cells whose settings are expressions have a specification each.
  const std::size_t apiece =
      t.job(node).spec->late.empty() ? 0 : t.job(node).spec->source_json.size();
  if (apiece * cells->size() > kConfiguredBytesMax) {
    return fail_before_start(
        t, node,
        {Code::limit_exceeded,
         "its text is too large for settings that are expressions in so many cells",
         {}});
  }
  JobExpanded expanded{.node = node, .job = t.job(node).key};
  for (lang::Cell& cell : *cells) {
    expanded.cells.push_back({std::move(cell.label), std::move(cell.values)});
  }
  t.emit(std::move(expanded));
  start_cells(t, node);
}

void request_approval(Transition& t, NodeIndex node) {
  const JobState& job = t.job(node);
  const ApproveSpec& spec = *job.spec->approve;
  RunScope world(t.run(), node, t.ambient());
  const Result<std::string> prompt = lang::evaluate_text(spec.prompt, world.scope());
  if (!prompt) return fail_before_start(t, node, prompt.error());
  std::vector<std::string> by;
  for (const std::string& given : spec.by) {
    Result<std::string> who = lang::evaluate_text(given, world.scope());
    if (who && !lang::names_approver(*who)) {
      who = Error{Code::invalid_field,
                  "`by` names user:NAME, group:NAME or role:NAME, not `" + *who + "`",
                  {}};
    }
    if (!who) return fail_before_start(t, node, who.error());
    by.push_back(std::move(*who));
  }
  const Millis patience = bounded(t, patience_of(job, spec.expires, kApprovalTimeout));
  t.emit(ApprovalRequested{.node = node,
                           .job = job.key,
                           .approval = derive_uuid(t.now(), to_string(t.run().id) + job.key),
                           .by = std::move(by),
                           .count = spec.count,
                           .self = spec.self,
                           .prompt = *prompt,
                           .expires_at = t.now() + patience});
}

void wait_for_signal(Transition& t, NodeIndex node, const std::string& event) {
  const WaitSpec& spec = *t.job(node).spec->wait;
  const Millis patience = bounded(t, patience_of(t.job(node), spec.timeout, kSignalTimeout));
  t.emit(JobWaiting{.node = node,
                    .job = t.job(node).key,
                    .reason = Reason::signal,
                    .until = t.now() + patience,
                    .detail = event});
  const auto kept = t.run().signals.find(event);
  if (kept == t.run().signals.end()) return;
  t.emit(JobFinished{.node = node,
                     .job = t.job(node).key,
                     .status = JobStatus::succeeded,
                     .outputs = Value(Object{{"data", kept->second.front()}})});
}

void begin_wait(Transition& t, NodeIndex node) {
  const WaitSpec& spec = *t.job(node).spec->wait;
  RunScope world(t.run(), node, t.ambient());
  const std::string& given = !spec.event.empty()   ? spec.event
                             : !spec.until.empty() ? spec.until
                                                   : spec.duration;
  const Result<std::string> text = lang::evaluate_text(given, world.scope());
  if (!text) return fail_before_start(t, node, text.error());
  if (!spec.event.empty()) return wait_for_signal(t, node, *text);
  Instant until;
  if (!spec.until.empty()) {
    const auto at = parse_rfc3339(*text);
    if (!at)
      return fail_before_start(
          t, node, {Code::invalid_field, "`until` is not an RFC 3339 time: " + *text, {}});
    until = std::max(*at, t.now());
  } else {
    const auto duration = parse_duration(*text);
    if (!duration)
      return fail_before_start(t, node, {Code::invalid_field, "not a duration: " + *text, {}});
    until = t.now() + *duration;
  }
  if (until > t.now() + bounded(t, until - t.now())) {
    return t.finish(node, JobStatus::timed_out, FailureKind::timeout,
                    "it would outlast the cancel");
  }
  t.emit(JobWaiting{.node = node, .job = t.job(node).key, .reason = Reason::timer, .until = until});
}

// Inputs of a child: strings may be templates, at any depth.
Result<Value> evaluate_inputs(const Value& given, const lang::Scope& scope) {
  if (given.is_string()) return lang::evaluate_template(given.as_string(), scope);
  if (given.is_list()) {
    List items;
    for (const Value& item : given.as_list()) {
      Result<Value> value = evaluate_inputs(item, scope);
      if (!value) return value.error();
      items.push_back(std::move(*value));
    }
    return Value(std::move(items));
  }
  if (given.is_object()) {
    Object members;
    for (const Member& member : given.as_object()) {
      Result<Value> value = evaluate_inputs(member.second, scope);
      if (!value) return value.error();
      members.emplace_back(member.first, std::move(*value));
    }
    return Value(std::move(members));
  }
  return given;
}

void begin_child(Transition& t, NodeIndex node) {
  const ChildSpec& spec = *t.job(node).spec->child;
  RunScope world(t.run(), node, t.ambient());
  const lang::Scope scope = world.scope();
  const Result<std::string> name = lang::evaluate_text(spec.name, scope);
  if (!name) return fail_before_start(t, node, name.error());
  Object inputs;
  for (const auto& [key, given] : spec.inputs) {
    Result<Value> value = evaluate_inputs(given, scope);
    if (!value) return fail_before_start(t, node, value.error());
    inputs.emplace_back(key, std::move(*value));
  }
  if (t.run().facts.depth + 1 > kChildDepthMax) {
    return fail_before_start(t, node,
                             {Code::limit_exceeded,
                              "child runs are nested deeper than " + std::to_string(kChildDepthMax),
                              {}});
  }
  const Millis patience = patience_of(t.job(node), Millis(0), kChildTimeout);
  t.emit(JobWaiting{.node = node,
                    .job = t.job(node).key,
                    .reason = Reason::child,
                    .until = t.now() + bounded(t, patience),
                    .detail = *name,
                    .inputs = Value(std::move(inputs))});
}

// Evaluates settings that are expressions. False: one cannot be what it is, and the job has failed.
bool configure(Transition& t, NodeIndex node) {
  const JobState& job = t.job(node);
  if (job.spec->late.empty() || !job.settings.is_null()) return true;
  const auto part = job.parent != kNoNode ? lang::LatePart::cell
                    : job.group           ? lang::LatePart::group
                                          : lang::LatePart::job;
  RunScope world(t.run(), node, t.ambient());
  Result<Value> settings = lang::evaluate_late(*job.spec, part, world.scope());
  if (!settings) {
    fail_before_start(t, node, settings.error());
    return false;
  }
  if (!settings->as_object().empty())
    t.emit(JobConfigured{.node = node, .job = job.key, .settings = std::move(*settings)});
  return true;
}

void begin_steps(Transition& t, NodeIndex node) {
  const JobState& job = t.job(node);
  const auto labels = labels_of(t.run(), job);
  if (!labels) return fail_before_start(t, node, labels.error());
  if (!job.spec->concurrency || job.phase == Phase::compensate) {
    t.emit(JobReady{.node = node, .job = job.key});
    return;
  }
  RunScope world(t.run(), node, t.ambient());
  const Result<std::string> group =
      lang::evaluate_text(job.spec->concurrency->group, world.scope());
  if (!group) return fail_before_start(t, node, group.error());
  if (group->empty()) {  // as of a run: no group, nothing to wait for
    t.emit(JobReady{.node = node, .job = job.key});
    return;
  }
  t.emit(JobWaiting{.node = node,
                    .job = job.key,
                    .reason = Reason::lock,
                    .until = t.now() + bounded(t, kLockTimeout),
                    .detail = *group});
}

bool retry_wanted(const JobState& job, const Failure& failure) {
  const RetrySpec& retry = job.spec->retry;
  if (!retry.given) {
    return failure.kind == FailureKind::lost_worker && job.spec->effects != Effects::external &&
           job.attempt <= kLostWorkerRetries;
  }
  if (job.attempt >= retry.attempts) return false;
  const auto names = [&](std::string_view name) {
    return std::find(retry.on.begin(), retry.on.end(), name) != retry.on.end();
  };
  if (names("any") || names(to_name(failure.kind))) return true;
  return failure.exit_code && std::find(retry.exit_codes.begin(), retry.exit_codes.end(),
                                        *failure.exit_code) != retry.exit_codes.end();
}

// Exponential backoff with a cap and jitter. The jitter is drawn from the run's id, the job and the
// attempt, so that replaying the decision gives the same delay.
Millis retry_delay(const RunState& run, const JobState& job, NodeIndex node) {
  const RetrySpec& retry = job.spec->retry;
  if (!retry.given) return Millis(0);
  const double grown =
      static_cast<double>(retry.backoff.count()) * std::pow(retry.factor, job.attempt - 1);
  const double capped = std::min(grown, static_cast<double>(retry.max.count()));
  Rng rng(run.id.low ^ (static_cast<std::uint64_t>(node) << 32) ^
          static_cast<std::uint64_t>(job.attempt));
  const double spread = 1 + retry.jitter * (2 * rng.unit() - 1);
  return Millis(static_cast<std::int64_t>(capped * spread));
}
}  // namespace

void consider(Transition& t, NodeIndex node) {
  const JobState& job = t.job(node);
  if (job.status != JobStatus::pending || job.open_needs > 0) return;
  if (job.phase == Phase::compensate) return start_node(t, node);
  const std::string& condition = job.spec->condition;
  const bool stopping = t.run().cancel_requested && job.phase == Phase::graph;
  if (stopping && !lang::outlives_cancel(condition)) {
    t.finish(node, JobStatus::cancelled, FailureKind::none, "the run was cancelled");
    return;
  }
  RunScope world(t.run(), node, t.ambient());
  const Result<bool> wanted = lang::evaluate_condition(condition, world.scope());
  if (!wanted) return fail_before_start(t, node, wanted.error());
  if (!*wanted) {
    const bool upstream = condition.empty();
    t.finish(node, JobStatus::skipped, FailureKind::none,
             upstream ? "a job it needs did not succeed" : "its condition is false");
    return;
  }
  start_node(t, node);
}

void start_node(Transition& t, NodeIndex node) {
  const JobState& job = t.job(node);
  const auto kept = t.run().kept.find(job.key);
  if (kept != t.run().kept.end() && job.phase == Phase::graph && !job.group) {
    t.emit(JobFinished{.node = node,
                       .job = job.key,
                       .status = JobStatus::reused,
                       .message = "kept from run " + to_string(t.run().facts.rerun_of),
                       .outputs = kept->second.outputs,
                       .artifacts = kept->second.artifacts});
    return;
  }
  if (job.phase == Phase::compensate) return begin_steps(t, node);
  if (!configure(t, node)) return;
  if (job.group && job.cells.empty()) return expand(t, node);
  switch (job.spec->kind) {
    case JobKind::steps: return begin_steps(t, node);
    case JobKind::approve: return request_approval(t, node);
    case JobKind::wait: return begin_wait(t, node);
    case JobKind::workflow: return begin_child(t, node);
  }
}

void start_cells(Transition& t, NodeIndex node) {
  const auto limit = static_cast<std::uint32_t>(t.job(node).spec->max_parallel);
  while (true) {
    const JobState& group = t.job(node);
    if (group.next_cell >= group.cells.size()) return;
    if (limit > 0 && group.active_cells >= limit) return;
    start_node(t, group.cells[group.next_cell]);
  }
}

void fail_attempt(Transition& t, NodeIndex node, const Failure& failure, const TaskResult* result) {
  const JobState& job = t.job(node);
  // A refusal is somebody's decision: it is neither tried again nor tolerated.
  const bool denied = failure.status == JobStatus::denied;
  if (!t.run().cancel_requested && !denied && job.status != JobStatus::cancelling &&
      retry_wanted(job, failure)) {
    t.emit(JobRetrying{.node = node,
                       .job = job.key,
                       .attempt = job.attempt,
                       .until = t.now() + retry_delay(t.run(), job, node),
                       .failure_kind = failure.kind,
                       .exit_code = failure.exit_code,
                       .signal = failure.signal,
                       .message = failure.message,
                       .steps = result != nullptr ? result->steps : std::vector<StepResult>{}});
    return;
  }
  JobFinished end{.node = node,
                  .job = job.key,
                  .attempt = job.attempt,
                  .status = failure.status,
                  .failure_kind = failure.kind,
                  .tolerated = job.spec->continue_on_error && !denied,
                  .exit_code = failure.exit_code,
                  .signal = failure.signal,
                  .message = failure.message};
  if (result != nullptr) {
    end.outputs = result->outputs;
    end.steps = result->steps;
    end.summary = result->summary;
    end.annotations = result->annotations;
    end.artifacts = result->artifacts;
    end.cache = result->cache;
  }
  t.emit(std::move(end));
}

void stop_at_work(Transition& t, NodeIndex node, bool timed_out) {
  t.emit(JobCancelling{.node = node,
                       .job = t.job(node).key,
                       .until = t.now() + kCancelLadder + kFinallyTimeout + kWorkerSlack,
                       .timed_out = timed_out});
}

void cancel_node(Transition& t, NodeIndex node) {
  const JobState& job = t.job(node);
  switch (job.status) {
    case JobStatus::pending:
      if (job.parent == kNoNode && job.open_needs > 0) return;  // considered when they are over
      [[fallthrough]];
    case JobStatus::ready:
    case JobStatus::waiting:
    case JobStatus::retrying:
      t.finish(node, JobStatus::cancelled, FailureKind::none, "cancelled before it was done");
      return;
    case JobStatus::running:
      if (job.group) return;  // its cells are cancelled one by one
      return stop_at_work(t, node, false);
    case JobStatus::cancelling:
    case JobStatus::succeeded:
    case JobStatus::failed:
    case JobStatus::cancelled:
    case JobStatus::timed_out:
    case JobStatus::denied:
    case JobStatus::skipped:
    case JobStatus::reused: return;
  }
}
}  // namespace mc::engine
