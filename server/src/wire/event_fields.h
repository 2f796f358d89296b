// The fields of every event and of what events are made of, by their stored names (struct_codec.h).
#pragma once

#include "model/event.h"
#include "wire/struct_codec.h"

namespace mc::wire {

template <class V>
void fields(V& v, RunQueued& e) {
  v("number", e.number);
  v("project", e.project);
  v("workflow", e.workflow);
  v("version", e.version);
  v("digest", e.digest);
  v("inputs", e.inputs, Value(Object{}));
  v("trigger", e.trigger, Value(Object{}));
  v("actor", e.actor);
  v("ref", e.ref);
  v("commit", e.commit);
  v("repository", e.repository);
  v("labels", e.labels);
  v("run_key", e.run_key);
  v("event", e.event);
  v("vars", e.vars, Value(Object{}));
  v("rerun_of", e.rerun_of);
  v("kept", e.kept);
  v("parent", e.parent);
  v("parent_node", e.parent_node);
  v("depth", e.depth);
  v("warnings", e.warnings);
  v("lock_group", e.lock_group);
}
template <class V>
void fields(V& v, KeptJob& e) {
  v("key", e.key);
  v("outputs", e.outputs);
  v("artifacts", e.artifacts);
}
template <class V>
void fields(V& v, RunWaiting& e) {
  v("reason", e.reason);
}
template <class V>
void fields(V&, RunStarted&) {}
template <class V>
void fields(V& v, RunCancelling& e) {
  v("by", e.by);
  v("message", e.message);
  v("timed_out", e.timed_out);
}
template <class V>
void fields(V& v, PhaseStarted& e) {
  v("phase", e.phase);
}
template <class V>
void fields(V& v, RunFinished& e) {
  v("status", e.status, kAlways);
  v("failure_kind", e.failure_kind);
  v("message", e.message);
  v("outputs", e.outputs, Value(Object{}));
}
template <class V>
void fields(V& v, SignalReceived& e) {
  v("event", e.event);
  v("data", e.data);
  v("by", e.by);
}
template <class V>
void fields(V& v, MatrixCell& e) {
  v("label", e.label);
  v("values", e.values);
}
template <class V>
void fields(V& v, JobExpanded& e) {
  v("node", e.node);
  v("job", e.job);
  v("cells", e.cells);
}
template <class V>
void fields(V& v, JobConfigured& e) {
  v("node", e.node);
  v("job", e.job);
  v("settings", e.settings, Value(Object{}));
}
template <class V>
void fields(V& v, JobReady& e) {
  v("node", e.node);
  v("job", e.job);
}
template <class V>
void fields(V& v, JobStarted& e) {
  v("node", e.node);
  v("job", e.job);
  v("attempt", e.attempt, kAlways);
  v("fence", e.fence);
  v("worker", e.worker);
}
template <class V>
void fields(V& v, JobWaiting& e) {
  v("node", e.node);
  v("job", e.job);
  v("reason", e.reason);
  v("until", e.until);
  v("detail", e.detail);
  v("inputs", e.inputs);
}
template <class V>
void fields(V& v, ApprovalRequested& e) {
  v("node", e.node);
  v("job", e.job);
  v("approval", e.approval);
  v("by", e.by);
  v("count", e.count, kAlways);
  v("self", e.self, true);
  v("prompt", e.prompt);
  v("expires_at", e.expires_at);
}
template <class V>
void fields(V& v, ApprovalDecided& e) {
  v("node", e.node);
  v("job", e.job);
  v("by", e.by);
  v("approved", e.approved);
  v("comment", e.comment);
}
template <class V>
void fields(V& v, ApprovalExpired& e) {
  v("node", e.node);
  v("job", e.job);
}
template <class V>
void fields(V& v, JobCancelling& e) {
  v("node", e.node);
  v("job", e.job);
  v("until", e.until);
  v("timed_out", e.timed_out);
}
template <class V>
void fields(V& v, JobRetrying& e) {
  v("node", e.node);
  v("job", e.job);
  v("attempt", e.attempt, kAlways);
  v("until", e.until);
  v("failure_kind", e.failure_kind);
  v("exit_code", e.exit_code);
  v("signal", e.signal);
  v("message", e.message);
  v("steps", e.steps);
}
template <class V>
void fields(V& v, JobFinished& e) {
  v("node", e.node);
  v("job", e.job);
  v("attempt", e.attempt);
  v("status", e.status, kAlways);
  v("failure_kind", e.failure_kind);
  v("tolerated", e.tolerated);
  v("exit_code", e.exit_code);
  v("signal", e.signal);
  v("message", e.message);
  v("outputs", e.outputs, Value(Object{}));
  v("steps", e.steps);
  v("summary", e.summary);
  v("annotations", e.annotations, Value(List{}));
  v("artifacts", e.artifacts);
  v("cache", e.cache);
}
template <class V>
void fields(V& v, StepResult& e) {
  v("id", e.id);
  v("name", e.name);
  v("status", e.status);
  v("exit_code", e.exit_code);
  v("signal", e.signal);
  v("duration_ms", e.duration_ms);
}
template <class V>
void fields(V& v, ArtifactRef& e) {
  v("name", e.name);
  v("digest", e.digest);
  v("size", e.size);
  v("media_type", e.media_type);
  v("keep_ms", e.keep_ms);
}
template <class V>
void fields(V& v, CacheResult& e) {
  v("key", e.key);
  v("hit", e.hit);
  v("from_run", e.from_run);
  v("from_job", e.from_job);
  v("saved_ms", e.saved_ms);
}

}  // namespace mc::wire
