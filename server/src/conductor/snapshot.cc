#include "conductor/snapshot.h"

#include "base/json.h"
#include "wire/event_fields.h"
#include "wire/own_json.h"

namespace mc::wire {

template <class V>
void fields(V& v, engine::Attempt& a) {
  v("number", a.number);
  v("status", a.status);
  v("failure_kind", a.failure_kind);
  v("worker", a.worker);
  v("exit_code", a.exit_code);
  v("signal", a.signal);
  v("message", a.message);
  v("started_at", a.started_at);
  v("finished_at", a.finished_at);
  v("steps", a.steps);
}
template <class V>
void fields(V& v, engine::Vote& a) {
  v("by", a.by);
  v("approved", a.approved);
  v("comment", a.comment);
  v("at", a.at);
}
template <class V>
void fields(V& v, engine::Approval& a) {
  v("id", a.id);
  v("request", a.request);
  v("requested_at", a.requested_at);
  v("votes", a.votes);
}
template <class V>
void fields(V& v, engine::JobDetail& d) {
  v("attempts", d.attempts);
  v("summary", d.summary);
  v("annotations", d.annotations);
  v("artifacts", d.artifacts);
  v("cache", d.cache);
  v("approval", d.approval);
  v("child_inputs", d.child_inputs);
}
template <class V>
void fields(V& v, engine::JobState& j) {
  // One more than the node, so that "no parent" is the zero that is left out.
  NodeIndex parent = j.parent + 1;
  v("parent", parent);
  j.parent = parent - 1;
  v("key", j.key);
  v("phase", j.phase);
  v("group", j.group);
  v("status", j.status);
  v("reason", j.reason);
  v("failure_kind", j.failure_kind);
  v("tolerated", j.tolerated);
  v("ancestor_failed", j.ancestor_failed);
  v("holds_lock", j.holds_lock);
  v("cancel_timed_out", j.cancel_timed_out);
  v("attempt", j.attempt);
  v("fence", j.fence);
  v("open_needs", j.open_needs);
  v("active_cells", j.active_cells);
  v("next_cell", j.next_cell);
  v("cells", j.cells);
  v("ready_at", j.ready_at);
  v("started_at", j.started_at);
  v("finished_at", j.finished_at);
  v("since", j.since);
  v("due", j.due);
  v("worker", j.worker);
  v("wait_detail", j.wait_detail);
  v("message", j.message);
  v("matrix", j.matrix);
  v("outputs", j.outputs);
  v("settings", j.settings);
}
}  // namespace mc::wire

namespace mc::conductor {
namespace {
using engine::JobState;
using engine::RunState;

// What is not one of the nodes. `kept` and `signals` are told apart from their maps.
struct RunFields {
  RunState& run;
  std::vector<KeptJob> kept;
  std::vector<KeptJob> signals;  // name and list of values
};
}  // namespace
}  // namespace mc::conductor

namespace mc::wire {
template <class V>
void fields(V& v, conductor::RunFields& f) {
  engine::RunState& r = f.run;
  v("facts", r.facts);
  v("status", r.status);
  v("reason", r.reason);
  v("failure_kind", r.failure_kind);
  v("message", r.message);
  v("cancel_requested", r.cancel_requested);
  v("run_timed_out", r.run_timed_out);
  v("cancelled_by", r.cancelled_by);
  v("phase", r.phase);
  v("phase_begun", r.phase_begun);
  v("outputs", r.outputs);
  v("warnings", r.warnings);
  v("created_at", r.created_at);
  v("started_at", r.started_at);
  v("finished_at", r.finished_at);
  v("updated_at", r.updated_at);
  v("deadline", r.deadline);
  v("seq", r.seq);
  v("phase_open", r.phase_open);
  v("kept", f.kept);
  v("signals", f.signals);
}
}  // namespace mc::wire

namespace mc::conductor {
namespace {
constexpr int kFormat = 1;

Error unreadable(const std::string& what) {
  return Error{Code::store_failed, "a snapshot cannot be read: " + what, {}};
}

const JobSpec* spec_of(const RunState& run, NodeIndex node) {
  const WorkflowSpec& spec = run.definition->spec;
  const JobState& job = run.jobs[node];
  if (job.parent != engine::kNoNode) return job.parent < node ? run.jobs[job.parent].spec : nullptr;
  if (node < spec.jobs.size()) return &spec.jobs[node];
  const std::size_t after_graph = node - spec.jobs.size();
  if (after_graph < spec.on_failure.size()) return &spec.on_failure[after_graph];
  const std::size_t last = after_graph - spec.on_failure.size();
  return last < spec.finally.size() ? &spec.finally[last] : nullptr;
}

// What can be computed from the nodes is not stored.
Status derive(RunState& run) {
  for (NodeIndex node = 0; node < run.jobs.size(); ++node) {
    JobState& job = run.jobs[node];
    job.spec = spec_of(run, node);
    if (job.spec == nullptr) return unreadable("it has nodes that the definition has not");
    if (!job.settings.is_null()) engine::configure(job, std::move(job.settings));
    run.by_key.emplace(job.key, node);
    if (job.due) run.dues.insert({job.due, node});
  }
  for (const JobState& job : run.jobs) {
    if (engine::is_listed(run, job)) ++run.counts.at(static_cast<std::size_t>(job.status));
  }
  return {};
}
}  // namespace

std::string encode_snapshot(const RunState& run) {
  // Lists of fields serve reading too, and so take what they list as changeable; writing changes
  // none.
  auto& changeable = const_cast<RunState&>(run);
  RunFields whole{changeable, {}, {}};
  for (const auto& [key, job] : run.kept) whole.kept.push_back(job);
  for (const auto& [event, values] : run.signals)
    whole.signals.push_back({event, Value(List(values)), {}});
  JsonWriter out;
  wire::FieldWriter writer{out};
  out.open('{').field("format", kFormat);
  wire::fields(writer, whole);
  out.key("jobs").open('[');
  for (JobState& job : changeable.jobs) {
    out.open('{');
    wire::fields(writer, job);
    if (job.detail) {
      out.key("detail").open('{');
      wire::fields(writer, *job.detail);
      out.close('}');
    }
    out.close('}');
  }
  return out.close(']').close('}').take();
}

Result<std::string> snapshot_digest(std::string_view text) {
  const Result<Value> body = parse_json(text, wire::kOwnJson);
  if (!body) return unreadable(body.error().message);
  const Value* facts = body->find("facts");
  return facts != nullptr ? facts->string_or("digest", "") : std::string();
}

Result<RunState> decode_snapshot(Uuid id, engine::DefinitionRef definition, std::string_view text) {
  const Result<Value> body = parse_json(text, wire::kOwnJson);
  if (!body) return unreadable(body.error().message);
  if (body->int_or("format", 0) != kFormat) return unreadable("a newer version wrote it");
  RunState run;
  run.id = id;
  run.definition = std::move(definition);
  RunFields whole{run, {}, {}};
  wire::FieldLoader loader{*body};
  wire::fields(loader, whole);
  const Value* jobs = body->find("jobs");
  if (!loader.ok || jobs == nullptr || !jobs->is_list())
    return unreadable("a field has a wrong type");
  for (const Value& item : jobs->as_list()) {
    JobState& job = run.jobs.emplace_back();
    job.reason = Reason::none;  // what was left out is zero
    wire::FieldLoader fields_of_job{item};
    wire::fields(fields_of_job, job);
    if (const Value* detail = item.find("detail")) {
      wire::FieldLoader fields_of_detail{*detail};
      wire::fields(fields_of_detail, engine::detail_of(job));
      fields_of_job.ok &= fields_of_detail.ok;
    }
    if (!fields_of_job.ok) return unreadable("a field of job " + job.key + " has a wrong type");
  }
  for (KeptJob& kept : whole.kept) {
    std::string key = kept.key;
    run.kept.emplace(std::move(key), std::move(kept));
  }
  for (KeptJob& signal : whole.signals) {
    if (!signal.outputs.is_list()) return unreadable("a signal has no list");
    run.signal_count += signal.outputs.as_list().size();
    run.signals.emplace(signal.key, signal.outputs.as_list());
  }
  if (const Status derived = derive(run); !derived) return derived.error();
  return run;
}
}  // namespace mc::conductor
