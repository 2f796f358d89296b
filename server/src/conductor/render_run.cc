#include <algorithm>

#include "base/json.h"
#include "conductor/render.h"

namespace mc::conductor {
namespace {
using engine::JobState;
using engine::RunState;

std::size_t count(const RunState& run, std::initializer_list<JobStatus> statuses) {
  std::size_t total = 0;
  for (const JobStatus status : statuses) total += run.counts.at(static_cast<std::size_t>(status));
  return total;
}

void write_counts(JsonWriter& out, const RunState& run) {
  std::size_t total = 0;
  for (const std::uint32_t n : run.counts) total += n;
  out.key("jobs").open('{').field("total", total);
  out.field("succeeded", count(run, {JobStatus::succeeded}));
  out.field("failed", count(run, {JobStatus::failed, JobStatus::timed_out, JobStatus::denied}));
  out.field("running", count(run, {JobStatus::running, JobStatus::cancelling}));
  out.field("waiting", count(run, {JobStatus::pending, JobStatus::ready, JobStatus::waiting,
                                   JobStatus::retrying}));
  out.field("skipped", count(run, {JobStatus::skipped}));
  out.field("reused", count(run, {JobStatus::reused}));
  out.field("cancelled", count(run, {JobStatus::cancelled})).close('}');
}

// Why an open run is not going on: its own reason, or what all its open jobs wait for.
Reason reason_of(const RunState& run) {
  if (is_final(run.status) || run.reason != Reason::none) return run.reason;
  if (count(run, {JobStatus::running, JobStatus::cancelling}) > 0) return Reason::none;
  constexpr std::size_t kLookMax = 64;  // a run of 10,000 jobs must not cost 10,000 of anything
  std::size_t looked = 0;
  for (const auto& [due, node] : run.dues) {
    if (++looked > kLookMax) break;
    if (run.jobs[node].reason != Reason::none) return run.jobs[node].reason;
  }
  return Reason::none;
}

Millis duration(Instant from, Instant to, Instant last) {
  if (!from) return Millis(0);
  return (to ? to : last) - from;
}
}  // namespace

RunStatus shown_status(const RunState& run) {
  if (run.status != RunStatus::running) return run.status;
  const bool waits = count(run, {JobStatus::waiting}) > 0;
  const bool works = count(run, {JobStatus::running, JobStatus::ready, JobStatus::cancelling}) > 0;
  return waits && !works ? RunStatus::waiting : RunStatus::running;
}

std::string run_json(const RunState& run) {
  const RunQueued& facts = run.facts;
  JsonWriter out;
  out.open('{').field("id", run.id).field("number", facts.number).field("project", facts.project);
  out.field("workflow", facts.workflow).key("version");
  facts.version > 0 ? out.integer(facts.version) : out.null();
  out.field("digest", facts.digest);
  const RunStatus status = shown_status(run);
  out.field("status", to_name(status)).field("outcome", outcome_name(status));
  const Reason reason = reason_of(run);
  out.text_or_null("reason", reason == Reason::none ? "" : to_name(reason));
  out.text_or_null("failure_kind",
                   run.failure_kind == FailureKind::none ? "" : to_name(run.failure_kind));
  out.text_or_null("message", run.message);
  out.field("inputs", facts.inputs).field("outputs", run.outputs).field("trigger", facts.trigger);
  out.field("actor", facts.actor)
      .text_or_null("ref", facts.ref)
      .text_or_null("commit", facts.commit);
  out.text_or_null("repository", facts.repository);
  out.key("labels").open('{');
  for (const auto& [name, value] : facts.labels) out.field(name, std::string_view(value));
  out.close('}').text_or_null("run_key", facts.run_key);
  out.field("rerun_of", facts.rerun_of)
      .field("parent", facts.parent)
      .field("warnings", run.warnings);
  write_counts(out, run);
  out.field("created_at", run.created_at).field("started_at", run.started_at);
  out.field("finished_at", run.finished_at);
  out.field("duration_ms", duration(run.started_at, run.finished_at, run.updated_at).count());
  return out.close('}').take();
}

std::string with_time_taken(std::string json, Instant now) {
  constexpr std::string_view kStarted = R"("started_at":")";
  constexpr std::string_view kOpen = R"(,"finished_at":null,"duration_ms":)";
  constexpr std::size_t kTimeLength = std::string_view("2026-01-31T12:00:00.000Z").size();
  // Nothing that people wrote comes behind these fields.
  const std::size_t open = json.rfind(kOpen);
  const std::size_t started = json.rfind(kStarted);
  if (open == std::string::npos || started == std::string::npos) return json;
  const auto from =
      parse_rfc3339(std::string_view(json).substr(started + kStarted.size(), kTimeLength));
  if (!from) return json;
  json.resize(open + kOpen.size());
  return json + std::to_string(std::max<std::int64_t>(0, (now - *from).count())) + "}";
}

std::string run_etag(const RunState& run) { return "\"" + std::to_string(run.seq) + "\""; }

db::RunRow run_row(const RunState& run) {
  const RunQueued& facts = run.facts;
  db::RunRow row;
  row.id = run.id;
  row.number = facts.number;
  row.project = facts.project;
  row.workflow = facts.workflow;
  row.status = shown_status(run);
  row.reason = reason_of(run);
  row.trigger =
      from_name<TriggerKind>(facts.trigger.string_or("kind", "api")).value_or(TriggerKind::api);
  row.actor = facts.actor;
  row.ref = facts.ref;
  row.commit = facts.commit;
  row.labels = facts.labels;
  row.run_key = facts.run_key;
  row.parent = facts.parent;
  row.rerun_of = facts.rerun_of;
  row.created_at = run.created_at;
  row.finished_at = run.finished_at;
  row.json = run_json(run);
  return row;
}

std::string graph_json(const RunState& run) {
  JsonWriter out;
  out.open('{').key("nodes").open('[');
  for (const JobState& job : run.jobs) {
    if (!engine::is_listed(run, job)) continue;
    out.open('{').field("key", job.key).field("status", to_name(job.status));
    out.field("kind", kind_of(job)).field("phase", engine::to_name(job.phase)).close('}');
  }
  out.close(']').key("edges").open('[');
  for (const JobState& job : run.jobs) {
    if (!engine::is_listed(run, job) || job.phase == Phase::compensate) continue;
    const NodeIndex first = engine::first_node(run, job.phase);
    for (const JobIndex need : job.spec->needs) {
      const JobState& from = run.jobs[first + need];
      const std::vector<NodeIndex> own = {first + need};
      for (const NodeIndex source : from.cells.empty() ? own : from.cells) {
        out.open('{').field("from", run.jobs[source].key).field("to", job.key).close('}');
      }
    }
  }
  return out.close(']').close('}').take();
}

std::string artifacts_json(const RunState& run, Millis keep) {
  JsonWriter out;
  out.open('{').key("items").open('[');
  for (const JobState& job : run.jobs) {
    if (!job.detail) continue;
    for (const ArtifactRef& artifact : job.detail->artifacts) {
      out.open('{').field("name", artifact.name).field("digest", artifact.digest);
      out.field("size", artifact.size).field("media_type", artifact.media_type);
      out.field("job", job.key).field("attempt", job.attempt).field("created_at", job.finished_at);
      out.field("expires_at",
                job.finished_at + (artifact.keep_ms > 0 ? Millis(artifact.keep_ms) : keep));
      out.close('}');
    }
  }
  return out.close(']').key("next_cursor").null().close('}').take();
}
}  // namespace mc::conductor
