#include "base/json.h"
#include "conductor/render.h"
#include "wire/event_codec.h"
#include "wire/own_json.h"

namespace mc::conductor {
namespace {
// Fields that the stored form leaves out when they have their defaults, but readers count on.
struct Essentials {
  Value& data;
  void operator()(const RunQueued&) { data.set("status", "queued"); }
  void operator()(const RunWaiting& e) {
    data.set("status", "waiting");
    data.set("reason", to_name(e.reason));
  }
  void operator()(const RunStarted&) { data.set("status", "running"); }
  void operator()(const RunCancelling&) { data.set("status", "cancelling"); }
  void operator()(const PhaseStarted& e) { data.set("phase", engine::to_name(e.phase)); }
  void operator()(const RunFinished& e) {
    data.set("status", to_name(e.status));
    data.set("outcome", outcome_name(e.status));
  }
  void operator()(const SignalReceived&) {}
  void operator()(const JobExpanded&) { data.set("status", "running"); }
  void operator()(const JobConfigured&) {}
  void operator()(const JobReady&) {
    data.set("status", "ready");
    data.set("reason", "capacity");
  }
  void operator()(const JobStarted& e) {
    data.set("status", "running");
    data.set("attempt", e.attempt);
  }
  void operator()(const JobWaiting& e) {
    data.set("status", "waiting");
    data.set("reason", to_name(e.reason));
  }
  void operator()(const ApprovalRequested&) {
    data.set("status", "waiting");
    data.set("reason", "approval");
  }
  void operator()(const ApprovalDecided& e) {
    data.set("decision", e.approved ? "approve" : "reject");
    data.set("status", e.approved ? "approved" : "rejected");
  }
  void operator()(const ApprovalExpired&) { data.set("status", "expired"); }
  void operator()(const JobCancelling&) {
    data.set("status", "cancelling");
    data.set("reason", "cancel");
  }
  void operator()(const JobRetrying& e) {
    data.set("status", "retrying");
    data.set("reason", "backoff");
    data.set("attempt", e.attempt);
    data.set("failure_kind", to_name(e.failure_kind));
  }
  void operator()(const JobFinished& e) {
    data.set("status", to_name(e.status));
    if (e.attempt > 0) data.set("attempt", e.attempt);
  }
};

// Instants inside events are stored as milliseconds.
constexpr std::string_view kInstantFields[] = {"until", "expires_at"};
}  // namespace

std::string event_json(Uuid run, const Event& event) {
  const Result<Value> stored = parse_json(wire::encode_events({event}), wire::kOwnJson);
  Value data = Object{{"run", Value(to_string(run))}};
  if (stored && stored->is_list() && !stored->as_list().empty()) {
    for (const Member& member : stored->as_list().front().as_object()) {
      if (member.first != "seq" && member.first != "t" && member.first != "type" &&
          member.first != "node") {
        data.set(member.first, member.second);
      }
    }
  }
  for (const std::string_view name : kInstantFields) {
    const Value* ms = data.find(name);
    if (ms != nullptr && ms->is_int()) data.set(name, to_rfc3339(Instant{ms->as_int()}));
  }
  if (const auto* queued = std::get_if<RunQueued>(&event.body); queued && !queued->labels.empty()) {
    Object labels;
    for (const auto& [name, value] : queued->labels) labels.emplace_back(name, Value(value));
    data.set("labels", Value(std::move(labels)));  // stored as pairs
  }
  std::visit(Essentials{data}, event.body);
  JsonWriter out;
  out.open('{').field("seq", event.seq).field("type", type_of(event)).field("time", event.time);
  out.field("data", data);
  return out.close('}').take();
}
}  // namespace mc::conductor
