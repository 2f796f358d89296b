#include <optional>

#include "base/clip.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/decide.h"
#include "engine/limits.h"
#include "engine/progress.h"

namespace mc::engine {
namespace {
// What is wrong with the outputs' sizes, or nullopt.
std::optional<std::string> oversized(const Value& outputs) {
  std::size_t total = 0;
  for (const Member& output : outputs.as_object()) {
    const std::size_t size = output.second.is_string() ? output.second.as_string().size()
                                                       : to_json(output.second).size();
    if (size > kOutputBytesMax) {
      return "output " + output.first + " has " + format_size(static_cast<std::int64_t>(size)) +
             ", more than " + format_size(kOutputBytesMax) + ": keep it as an artifact instead";
    }
    total += size;
  }
  if (total <= kOutputsBytesMax) return std::nullopt;
  return "the outputs together have " + format_size(static_cast<std::int64_t>(total)) +
         ", more than " + format_size(kOutputsBytesMax) + ": keep them as artifacts instead";
}

JobStatus final_status(Outcome outcome) {
  switch (outcome) {
    case Outcome::succeeded: return JobStatus::succeeded;
    case Outcome::reused: return JobStatus::reused;
    case Outcome::failed: return JobStatus::failed;
    case Outcome::cancelled: return JobStatus::cancelled;
    case Outcome::timed_out: return JobStatus::timed_out;
  }
  return JobStatus::failed;
}

JobFinished finished(const JobState& job, NodeIndex node, const TaskResult& result,
                     JobStatus status) {
  return JobFinished{.node = node,
                     .job = job.key,
                     .attempt = job.attempt,
                     .status = status,
                     .exit_code = result.exit_code,
                     .signal = result.signal,
                     .message = std::string(head_of(result.message, kMessageBytesMax)),
                     .outputs = result.outputs,
                     .steps = result.steps,
                     .summary = result.summary,
                     .annotations = result.annotations,
                     .artifacts = result.artifacts,
                     .cache = result.cache};
}
}  // namespace

Result<Events> complete_job(RunState& run, NodeIndex node, const TaskResult& result,
                            const Ambient& ambient) {
  if (node >= run.jobs.size()) return Error{Code::fenced, "there is no such job", {}};
  const JobState& job = run.jobs[node];
  const bool held = job.status == JobStatus::running || job.status == JobStatus::cancelling;
  if (!held || job.fence != result.fence) {
    return Error{Code::fenced, "this attempt is over, or was given to another worker", {}};
  }
  Transition t(run, ambient);
  const JobStatus status = final_status(result.outcome);
  const bool good = status == JobStatus::succeeded || status == JobStatus::reused;
  const std::optional<std::string> too_much = oversized(result.outputs);
  if (good && !too_much) {
    t.emit(finished(job, node, result, status));
  } else if (job.status == JobStatus::cancelling && !good) {
    t.emit(finished(job, node, result,
                    job.cancel_timed_out ? JobStatus::timed_out : JobStatus::cancelled));
  } else {
    Failure failure{.kind = result.failure_kind,
                    .status = status,
                    .exit_code = result.exit_code,
                    .signal = result.signal,
                    .message = std::string(head_of(result.message, kMessageBytesMax))};
    TaskResult kept = result;
    if (too_much) {
      failure = {.kind = FailureKind::user,
                 .status = JobStatus::failed,
                 .exit_code = result.exit_code,
                 .message = *too_much};
      kept.outputs = Value(Object{});
    }
    // A worker that stops a job nobody asked to stop is going away itself.
    if (status == JobStatus::cancelled) failure.kind = FailureKind::lost_worker;
    if (status == JobStatus::cancelled) failure.status = JobStatus::failed;
    if (status == JobStatus::timed_out) failure.kind = FailureKind::timeout;
    if (failure.kind == FailureKind::none) failure.kind = FailureKind::user;
    fail_attempt(t, node, failure, &kept);
  }
  t.settle();
  return t.take_events();
}
}  // namespace mc::engine
