#include <fmt/format.h>

#include "base/json.h"
#include "base/sha256.h"
#include "conductor/core.h"
#include "conductor/records.h"

namespace mc::conductor {

void Core::put_workflow(const auth::Principal& by, const std::string& name, const std::string& text,
                        Instant now, Done<WorkflowVersion> done) {
  const std::string key = by.project + "/" + name;
  const std::string digest = "sha256:" + sha256_hex(text);
  const auto record = records_.get(kWorkflowKind, key);
  if (!record) return done(record.error());
  WorkflowVersion answer{.name = name,
                         .version = 1,
                         .digest = digest,
                         .created_at = now,
                         .created = true,
                         .text = text};
  if (*record) {
    const Result<Value> old = parse_json(**record);
    if (!old) return done(old.error());
    const bool gone = old->bool_or("deleted", false);
    if (!gone && old->string_or("digest", "") == digest) {
      answer.version = old->int_or("version", 1);
      answer.created_at = parse_rfc3339(old->string_or("created_at", "")).value_or(now);
      answer.created = false;
      // The version may be on its way to the disk still.
      return reply_after_commit(
          [done = std::move(done), answer = std::move(answer)](const Status& status) {
            status ? done(answer) : done(status.error());
          });
    }
    answer.version = old->int_or("version", 0) + 1;
    answer.created = gone;
  }
  const auto definition = read_definition(digest, text);
  if (!definition) return done(definition.error());
  JsonWriter newest;
  newest.open('{').field("name", name).field("version", answer.version).field("digest", digest);
  newest.field("description", (*definition)->spec.description).field("created_at", now);
  newest.field("by", by.name).field("deleted", false).close('}');
  put_record(kDefinitionKind, digest, to_json(Value(Object{{"text", Value(text)}})));
  put_record(kWorkflowKind, key, newest.text());
  put_record(kVersionKind, fmt::format("{}/{:010}", key, answer.version), newest.take());
  WorkflowSpec named;
  named.name = name;
  named.on = (*definition)->spec.on;
  sync_schedules(by.project, named, now);
  reply_after_commit([done = std::move(done), answer = std::move(answer)](const Status& status) {
    status ? done(answer) : done(status.error());
  });
}

void Core::delete_workflow(const auth::Principal& by, const std::string& name, Instant now,
                           Done<bool> done) {
  const std::string key = by.project + "/" + name;
  const auto record = records_.get(kWorkflowKind, key);
  if (!record) return done(record.error());
  const Result<Value> old = *record ? parse_json(**record) : Result<Value>(Value());
  if (!old) return done(old.error());
  if (!*record || old->bool_or("deleted", false)) {
    return done(Error{Code::workflow_not_found, "there is no workflow " + name, {}});
  }
  Value gone = *old;
  gone.set("deleted", true);
  put_record(kWorkflowKind, key, to_json(gone));
  WorkflowSpec none;
  none.name = name;
  sync_schedules(by.project, none, now);
  reply_after_commit([done = std::move(done)](const Status& status) {
    status ? done(true) : done(status.error());
  });
}
}  // namespace mc::conductor
