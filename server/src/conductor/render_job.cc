#include "base/json.h"
#include "conductor/render.h"
#include "engine/conditions.h"

namespace mc::conductor {
namespace {
using engine::Attempt;
using engine::JobDetail;
using engine::JobState;
using engine::RunState;

std::string_view effects_name(Effects effects) {
  switch (effects) {
    case Effects::none: return "none";
    case Effects::idempotent: return "idempotent";
    case Effects::external: return "external";
  }
  return "";
}

void write_exit(JsonWriter& out, std::optional<int> exit_code, int signal) {
  out.key("exit_code");
  exit_code ? out.integer(*exit_code) : out.null();
  out.key("signal");
  signal > 0 ? out.integer(signal) : out.null();
}

void write_steps(JsonWriter& out, const std::vector<StepResult>& steps) {
  out.key("steps").open('[');
  for (const StepResult& step : steps) {
    out.open('{').text_or_null("id", step.id).field("name", step.name);
    out.field("status", to_name(step.status));
    write_exit(out, step.exit_code, step.signal);
    out.field("duration_ms", step.duration_ms).close('}');
  }
  out.close(']');
}

void write_attempt(JsonWriter& out, const Attempt& attempt) {
  out.open('{').field("attempt", attempt.number).field("status", to_name(attempt.status));
  out.text_or_null("failure_kind",
                   attempt.failure_kind == FailureKind::none ? "" : to_name(attempt.failure_kind));
  out.text_or_null("message", attempt.message).field("worker", attempt.worker);
  write_exit(out, attempt.exit_code, attempt.signal);
  out.field("started_at", attempt.started_at).field("finished_at", attempt.finished_at);
  out.close('}');
}

// Steps of an attempt that did not report: as the definition has them, or skipped at the end.
std::vector<StepResult> planned_steps(const JobState& job) {
  std::vector<StepResult> steps;
  const auto& specs = job.phase == Phase::compensate ? job.spec->compensate : job.spec->steps;
  const StepStatus status = is_final(job.status) ? StepStatus::skipped : StepStatus::pending;
  for (const StepSpec& spec : specs)
    steps.push_back({.id = spec.id, .name = spec.name, .status = status});
  return steps;
}

void write_attempts(JsonWriter& out, const JobState& job) {
  out.key("attempts").open('[');
  if (job.detail) {
    for (const Attempt& attempt : job.detail->attempts) write_attempt(out, attempt);
  }
  out.close(']');
  const bool reported =
      job.detail && !job.detail->attempts.empty() && !job.detail->attempts.back().steps.empty();
  write_steps(out, reported ? job.detail->attempts.back().steps : planned_steps(job));
  const bool tried = job.detail && !job.detail->attempts.empty();
  const Attempt* last = tried ? &job.detail->attempts.back() : nullptr;
  write_exit(out, last != nullptr ? last->exit_code : std::nullopt,
             last != nullptr ? last->signal : 0);
}

std::string_view approval_status(const JobState& job) {
  switch (job.status) {
    case JobStatus::succeeded: return "approved";
    case JobStatus::denied: return "rejected";
    case JobStatus::timed_out: return "expired";
    case JobStatus::cancelled: return "cancelled";
    default: return "waiting";
  }
}

void write_cache(JsonWriter& out, const JobState& job) {
  out.key("cache");
  if (!job.detail || !job.detail->cache) {
    out.null();
    return;
  }
  const CacheResult& cache = *job.detail->cache;
  out.open('{').field("key", cache.key).field("hit", cache.hit).field("from_run", cache.from_run);
  out.text_or_null("from_job", cache.from_job).field("saved_ms", cache.saved_ms).close('}');
}

void write_needs(JsonWriter& out, const RunState& run, const JobState& job) {
  out.key("needs").open('[');
  if (job.phase != Phase::compensate) {
    const NodeIndex first = engine::first_node(run, job.phase);
    for (const JobIndex need : job.spec->needs) out.item(run.jobs[first + need].key);
  }
  out.close(']');
}
}  // namespace

std::string_view kind_of(const JobState& job) {
  if (job.phase == Phase::compensate) return "compensate";
  switch (job.spec->kind) {
    case JobKind::steps: return "steps";
    case JobKind::approve: return "approve";
    case JobKind::wait: return "wait";
    case JobKind::workflow: return "workflow";
  }
  return "";
}

std::string job_json(const RunState& run, const JobState& job, Instant now) {
  JsonWriter out;
  out.open('{').field("key", job.key).field("name", engine::shown_name(run, job));
  out.field("kind", kind_of(job)).field("phase", engine::to_name(job.phase));
  out.field("status", to_name(job.status));
  out.text_or_null("reason", job.reason == Reason::none ? "" : to_name(job.reason));
  out.text_or_null("failure_kind",
                   job.failure_kind == FailureKind::none ? "" : to_name(job.failure_kind));
  out.text_or_null("message", job.message).field("tolerated", job.tolerated);
  write_needs(out, run, job);
  out.field("matrix", job.matrix).field("attempt", job.attempt);
  write_attempts(out, job);
  out.field("outputs", job.outputs);
  out.field("annotations", job.detail ? job.detail->annotations : Value(List{}));
  out.text_or_null("summary", job.detail ? job.detail->summary : "");
  out.field("effects", effects_name(job.spec->effects));
  write_cache(out, job);
  out.text_or_null("worker", job.worker).field("due_at", job.due);
  out.text_or_null("waits_for", is_final(job.status) ? "" : job.wait_detail);
  if (job.detail && job.detail->approval) out.key("approval").raw(approval_json(run, job));
  out.field("ready_at", job.ready_at).field("started_at", job.started_at);
  out.field("finished_at", job.finished_at);
  const Instant end = job.finished_at ? job.finished_at : now;
  out.field("duration_ms", job.started_at ? (end - job.started_at).count() : 0);
  return out.close('}').take();
}

std::string jobs_json(const RunState& run, Instant now) {
  JsonWriter out;
  out.open('{').key("items").open('[');
  for (const JobState& job : run.jobs) {
    if (engine::is_listed(run, job)) out.raw(job_json(run, job, now));
  }
  return out.close(']').key("next_cursor").null().close('}').take();
}

bool fits_status(const JobState& job, const std::string& status) {
  const std::string_view own = approval_status(job);
  return status.empty() || status == own || (status == "decided" && own != "waiting");
}

std::string approvals_json(const RunState& run, const std::string& status) {
  JsonWriter out;
  out.open('{').key("items").open('[');
  for (const JobState& job : run.jobs) {
    const bool asks = job.detail && job.detail->approval;
    if (asks && fits_status(job, status)) out.raw(approval_json(run, job));
  }
  return out.close(']').key("next_cursor").null().close('}').take();
}

std::string approval_json(const RunState& run, const JobState& job) {
  const engine::Approval& approval = *job.detail->approval;
  JsonWriter out;
  out.open('{').field("id", approval.id).field("run", run.id).field("job", job.key);
  out.field("workflow", run.facts.workflow).field("number", run.facts.number);
  out.field("status", approval_status(job)).text_or_null("prompt", approval.request.prompt);
  out.key("by").open('[');
  for (const std::string& who : approval.request.by) out.item(who);
  out.close(']').field("count", approval.request.count).field("self", approval.request.self);
  out.key("decisions").open('[');
  for (const engine::Vote& vote : approval.votes) {
    out.open('{').field("by", vote.by);
    out.field("decision", std::string_view(vote.approved ? "approve" : "reject"));
    out.text_or_null("comment", vote.comment).field("at", vote.at).close('}');
  }
  out.close(']').field("requested_at", approval.requested_at);
  // A cancel may have brought it forward.
  out.field("expires_at", job.due ? job.due : approval.request.expires_at);
  return out.close('}').take();
}
}  // namespace mc::conductor
