// Stored workflows. Definitions are parsed on the pool before the conductor hears of them.
#include <fmt/format.h>

#include "api/body.h"
#include "api/call.h"
#include "api/cursor.h"
#include "api/definition.h"
#include "api/handlers.h"
#include "base/json.h"
#include "base/text.h"
#include "conductor/records.h"
#include "lang/parse.h"

namespace mc::api {
namespace {
constexpr int kScanPage = 200;

void write_problems(JsonWriter& out, std::string_view name, const std::vector<Problem>& problems) {
  out.key(name).open('[');
  for (const Problem& problem : problems) {
    out.open('{').field("line", problem.line).field("column", problem.column);
    out.field("code", problem.code).field("message", to_valid_utf8(problem.message));
    out.field("hint", to_valid_utf8(problem.hint)).close('}');
  }
  out.close(']');
}

Error no_such_workflow(const std::string& name) {
  return {Code::workflow_not_found, "there is no workflow " + name, {}};
}

void write_graph(JsonWriter& out, const WorkflowSpec& spec) {
  out.key("graph").open('{').key("nodes").open('[');
  const auto nodes = [&out](const std::vector<JobSpec>& jobs, std::string_view phase) {
    for (const JobSpec& job : jobs) {
      out.open('{').field("key", job.key).field("name", job.name.empty() ? job.key : job.name);
      out.field("phase", phase).field("matrix", job.matrix.has_value()).close('}');
    }
  };
  nodes(spec.jobs, "graph");
  nodes(spec.on_failure, "on_failure");
  nodes(spec.finally, "finally");
  out.close(']').key("edges").open('[');
  for (const auto* jobs : {&spec.jobs, &spec.on_failure, &spec.finally}) {
    for (const JobSpec& job : *jobs) {
      for (const JobIndex need : job.needs) {
        out.open('{').field("from", (*jobs)[need].key).field("to", job.key).close('}');
      }
    }
  }
  out.close(']').close('}');
}

std::string key_of(const Call& call) { return call.principal.project + "/" + call.params.at(0); }

// The newest record, or the one of ?version=. Errors: workflow_not_found.
Result<Value> find_version(const Call& call) {
  db::Store& store = call.service().store();
  const auto newest = store.get_record(conductor::kWorkflowKind, key_of(call));
  if (!newest) return newest.error();
  if (!*newest) return no_such_workflow(call.params.at(0));
  Result<Value> body = parse_json((*newest)->json);
  if (!body) return body.error();
  if (body->bool_or("deleted", false)) return no_such_workflow(call.params.at(0));
  const Result<std::int64_t> version =
      read_number(call, "version", 0, 1, body->int_or("version", 1));
  if (!version) {
    return Error{Code::workflow_not_found,
                 "the workflow " + call.params.at(0) + " has no version " + call.query("version"),
                 {}};
  }
  if (*version == 0) return body;
  const auto old =
      store.get_record(conductor::kVersionKind, fmt::format("{}/{:010}", key_of(call), *version));
  if (!old) return old.error();
  if (!*old) return no_such_workflow(call.params.at(0));
  Result<Value> version_body = parse_json((*old)->json);
  if (version_body) version_body->set("name", call.params.at(0));
  return version_body;
}

void answer_workflow(const Call& call) {
  const Result<Value> record = find_version(call);
  if (!record) return call.fail(record.error());
  const std::string digest = record->string_or("digest", "");
  const auto stored = call.service().store().get_record(conductor::kDefinitionKind, digest);
  if (!stored) return call.fail(stored.error());
  const Result<Value> text = *stored ? parse_json((*stored)->json) : Result<Value>(Value());
  if (!text) return call.fail(text.error());
  const std::string definition = text->string_or("text", "");
  const lang::Parsed parsed = lang::parse_workflow(definition, {.default_name = call.params.at(0)});
  JsonWriter out;
  out.open('{').field("name", call.params.at(0)).field("version", record->int_or("version", 1));
  out.field("digest", digest).field("created_at", record->string_or("created_at", ""));
  out.text_or_null("by", record->string_or("by", ""));
  out.field("description", parsed.spec.description).field("definition", definition);
  write_graph(out, parsed.spec);
  write_problems(out, "warnings", parsed.warnings);
  call.json(out.close('}').take());
}

void answer_list(const Call& call, int limit, const std::string& after) {
  const std::string prefix = call.principal.project + "/";
  const std::string q = to_lower(call.query("q"));
  JsonWriter out;
  out.open('{').key("items").open('[');
  std::string at = after.empty() ? after : prefix + after;
  std::string last, next;
  int shown = 0;
  for (bool more = true; more && next.empty();) {
    const auto page =
        call.service().store().list_records(conductor::kWorkflowKind, prefix, at, kScanPage);
    if (!page) return call.fail(page.error());
    more = static_cast<int>(page->size()) == kScanPage;
    for (const db::Record& record : *page) {
      at = record.key;
      const Result<Value> body = parse_json(record.json);
      const std::string name = record.key.substr(prefix.size());
      if (!body || body->bool_or("deleted", false)) continue;
      if (!q.empty() && to_lower(name).find(q) == std::string::npos) continue;
      if (shown++ == limit) {
        next = make_cursor("workflows", last);
        break;
      }
      last = name;
      out.open('{').field("name", name).field("version", body->int_or("version", 1));
      out.field("digest", body->string_or("digest", ""));
      out.field("description", body->string_or("description", ""));
      out.field("created_at", body->string_or("created_at", "")).close('}');
    }
  }
  call.json(out.close(']').text_or_null("next_cursor", next).close('}').take());
}

// Newest first: versions count up without gaps.
void answer_versions(const Call& call, int limit, std::int64_t before) {
  const auto newest = call.service().store().get_record(conductor::kWorkflowKind, key_of(call));
  if (!newest) return call.fail(newest.error());
  const Result<Value> body = *newest ? parse_json((*newest)->json) : Result<Value>(Value());
  if (!body) return call.fail(body.error());
  if (!*newest || body->bool_or("deleted", false))
    return call.fail(no_such_workflow(call.params.at(0)));
  std::int64_t version = body->int_or("version", 1);
  if (before > 0) version = std::min(version, before - 1);
  JsonWriter out;
  out.open('{').key("items").open('[');
  for (int shown = 0; version > 0 && shown < limit; --version, ++shown) {
    const auto record = call.service().store().get_record(
        conductor::kVersionKind, fmt::format("{}/{:010}", key_of(call), version));
    if (!record) return call.fail(record.error());
    const Result<Value> facts = *record ? parse_json((*record)->json) : Result<Value>(Value());
    if (!facts || !*record) continue;
    out.open('{').field("name", call.params.at(0)).field("version", version);
    out.field("digest", facts->string_or("digest", ""));
    out.field("created_at", facts->string_or("created_at", ""));
    out.text_or_null("by", facts->string_or("by", "")).close('}');
  }
  const std::string next =
      version > 0 ? make_cursor("versions", std::to_string(version + 1)) : std::string();
  call.json(out.close(']').text_or_null("next_cursor", next).close('}').take());
}
}  // namespace

void put_workflow(const CallPtr& call) {
  const std::string& name = call->params.at(0);
  if (!is_name(name)) {
    return call->fail({Code::invalid_field,
                       "name: [a-z0-9][a-z0-9._-]{0,62} is wanted, not " + to_valid_utf8(name),
                       {}});
  }
  offload(call, [call, name] {
    const lang::Parsed parsed = parse_definition(call->request.body, {.default_name = name});
    if (!parsed.ok()) return call->fail(bad_definition(parsed.errors));
    const auto answer =
        [call, warnings = parsed.warnings](const Result<conductor::WorkflowVersion>& stored) {
          if (!stored) return call->fail(stored.error());
          JsonWriter out;
          out.open('{').field("name", stored->name).field("version", stored->version);
          out.field("digest", stored->digest).field("created_at", stored->created_at);
          write_problems(out, "warnings", warnings);
          std::string body = out.close('}').take();
          if (!stored->created) return call->json(std::move(body));
          call->created(std::move(body), "/api/v1/workflows/" + stored->name);
        };
    call->service().put_workflow(call->principal, name, call->request.body, answer);
  });
}

void validate_workflow(const CallPtr& call) {
  offload(call, [call] {
    const lang::Parsed parsed = parse_definition(call->request.body);
    JsonWriter out;
    out.open('{').field("valid", parsed.ok());
    write_problems(out, "errors", parsed.errors);
    write_problems(out, "warnings", parsed.warnings);
    call->json(out.close('}').take());
  });
}

void list_workflows(const CallPtr& call) {
  const Result<int> limit = read_limit(*call);
  if (!limit) return call->fail(limit.error());
  const Result<std::string> after = read_cursor("workflows", call->query("cursor"));
  if (!after) return call->fail(after.error());
  offload(call, [call, limit = *limit, after = *after] { answer_list(*call, limit, after); });
}

void get_workflow(const CallPtr& call) {
  offload(call, [call] { answer_workflow(*call); });
}

void list_workflow_versions(const CallPtr& call) {
  const Result<int> limit = read_limit(*call);
  if (!limit) return call->fail(limit.error());
  const Result<std::string> after = read_cursor("versions", call->query("cursor"));
  if (!after) return call->fail(after.error());
  const std::int64_t before = read_integer(*after, 1, INT64_MAX).value_or(0);
  offload(call, [call, limit = *limit, before] { answer_versions(*call, limit, before); });
}

void delete_workflow(const CallPtr& call) {
  call->service().delete_workflow(call->principal, call->params.at(0), no_content_or_error(call));
}
}  // namespace mc::api
