// Secrets, which go in and never come out, and variables, which may be read.
#include <fmt/format.h>

#include "api/body.h"
#include "api/call.h"
#include "api/cursor.h"
#include "api/handlers.h"
#include "api/page.h"
#include "base/json.h"
#include "conductor/records.h"

namespace mc::api {
namespace {
Error wrong_name() {
  return {Code::invalid_field, "name: [A-Za-z0-9_][A-Za-z0-9_.-]{0,127} is wanted", {}};
}

Error too_many() {
  return {Code::limit_exceeded,
          fmt::format("at most {} secrets are kept", SecretTable::kSecretsMax),
          {}};
}

// The name of the path and the value of the body.
Result<std::string> read_value(const Call& call) {
  if (!is_secret_name(call.params.at(0))) return wrong_name();
  Body body(call.request.body, {"value"});
  body.require("value");
  std::string value = body.text("value", SecretTable::kValueMax);
  if (body.status() && value.empty()) body.wrong("value", "this is empty");
  if (const Status fine = body.status(); !fine) return fine.error();
  return value;
}

std::string key_of(const Call& call) { return call.principal.project + "/" + call.params.at(0); }

std::string variable_json(std::string_view name, const Value& record) {
  JsonWriter out;
  out.open('{').field("name", name).field("value", record.string_or("value", ""));
  out.field("created_at", parse_rfc3339(record.string_or("created_at", "")).value_or(Instant{}));
  out.field("updated_at", parse_rfc3339(record.string_or("updated_at", "")).value_or(Instant{}));
  return out.close('}').take();
}

Error no_such_variable(const Call& call) {
  return {Code::not_found, "there is no variable " + call.params.at(0), {}};
}

Result<Value> find_variable(const Call& call) {
  const auto record = call.service().store().get_record(conductor::kVariableKind, key_of(call));
  if (!record) return record.error();
  if (!*record) return no_such_variable(call);
  return parse_json((*record)->json);
}
}  // namespace

void list_secrets(const CallPtr& call) {
  answer_page(call, "secrets", "name", [&](const conductor::Done<std::string>& done) {
    done(call->world->secrets->names_json(call->principal.project));
  });
}

void put_secret(const CallPtr& call) {
  Result<std::string> value = read_value(*call);
  if (!value) return call->fail(value.error());
  SecretTable& secrets = *call->world->secrets;
  const std::string& project = call->principal.project;
  const std::string& name = call->params.at(0);
  const bool fresh = !secrets.has(project, name);
  if (fresh && secrets.size() >= SecretTable::kSecretsMax) return call->fail(too_many());
  const Instant now = call->now();
  call->service().put_records(
      {secrets.sealed_record(project, name, *value, now)}, std::nullopt,
      [call, fresh, now, value = *value](const Result<bool>& kept) {
        if (!kept) return call->fail(kept.error());
        call->world->secrets->put(call->principal.project, call->params.at(0), value, now);
        JsonWriter out;
        out.open('{').field("name", call->params.at(0)).field("updated_at", now).close('}');
        call->json(out.take(), fresh ? 201 : 200);
      });
}

void delete_secret(const CallPtr& call) {
  const std::string& name = call->params.at(0);
  if (!call->world->secrets->has(call->principal.project, name))
    return call->fail({Code::not_found, "there is no secret of this name", {}});
  call->service().put_records(
      {{std::string(conductor::kSecretKind), key_of(*call), std::nullopt, std::nullopt}},
      std::nullopt, [call](const Result<bool>& removed) {
        if (!removed) return call->fail(removed.error());
        call->world->secrets->remove(call->principal.project, call->params.at(0));
        call->no_content();
      });
}

void list_variables(const CallPtr& call) {
  const Result<int> limit = read_limit(*call, 100, 100);
  if (!limit) return call->fail(limit.error());
  const Result<std::string> after = read_cursor("variables", call->query("cursor"));
  if (!after) return call->fail(after.error());
  offload(call, [call, limit = *limit, after = *after] {
    const std::string prefix = call->principal.project + "/";
    const auto page = call->service().store().list_records(
        conductor::kVariableKind, prefix, after.empty() ? after : prefix + after, limit + 1);
    if (!page) return call->fail(page.error());
    JsonWriter out;
    out.open('{').key("items").open('[');
    std::string last, next;
    for (std::size_t i = 0; i < page->size(); ++i) {
      if (i == static_cast<std::size_t>(limit)) {
        next = make_cursor("variables", last);
        break;
      }
      last = (*page)[i].key.substr(prefix.size());
      const Result<Value> record = parse_json((*page)[i].json);
      if (record) out.raw(variable_json(last, *record));
    }
    call->json(out.close(']').text_or_null("next_cursor", next).close('}').take());
  });
}

void get_variable(const CallPtr& call) {
  offload(call, [call] {
    const Result<Value> record = find_variable(*call);
    record ? call->json(variable_json(call->params.at(0), *record)) : call->fail(record.error());
  });
}

void put_variable(const CallPtr& call) {
  Result<std::string> value = read_value(*call);
  if (!value) return call->fail(value.error());
  offload(call, [call, value = *value] {
    const Result<Value> old = find_variable(*call);
    if (!old && old.error().code != Code::not_found) return call->fail(old.error());
    const std::string now = to_rfc3339(call->now());
    Value record = Object{{"value", value},
                          {"created_at", old ? old->string_or("created_at", now) : now},
                          {"updated_at", now}};
    const int status = old.ok() ? 200 : 201;
    call->service().put_records(
        {{std::string(conductor::kVariableKind), key_of(*call), to_json(record), std::nullopt}},
        std::nullopt, [call, record, status](const Result<bool>& kept) {
          if (!kept) return call->fail(kept.error());
          call->json(variable_json(call->params.at(0), record), status);
        });
  });
}

void delete_variable(const CallPtr& call) {
  offload(call, [call] {
    const Result<Value> old = find_variable(*call);
    if (!old) return call->fail(old.error());
    call->service().put_records(
        {{std::string(conductor::kVariableKind), key_of(*call), std::nullopt, std::nullopt}},
        std::nullopt, no_content_or_error(call));
  });
}
}  // namespace mc::api
