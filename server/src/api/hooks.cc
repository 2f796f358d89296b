// POST /api/v1/hooks/{workflow}: whoever knows the secret `webhook_<workflow>` starts a run.
// Needs no token: the signature over the body is the proof.
#include <algorithm>

#include "api/call.h"
#include "api/handlers.h"
#include "auth/signature.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/text.h"
#include "conductor/records.h"
#include "lang/parse.h"

namespace mc::api {
namespace {
constexpr std::size_t kDeliveryMax = 255;

std::string_view header_of(const Call& call, std::string_view name) {
  const std::string* value = call.request.header(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

bool is_signed(const Call& call, const std::string& secret) {
  const std::string& body = call.request.body;
  for (const char* name : {"x-hub-signature-256", "x-maestro-signature-256"}) {
    const std::string_view signature = header_of(call, name);
    if (!signature.empty()) return auth::verify_hub_signature(secret, body, signature);
  }
  return auth::verify_standard_webhook(
      secret, body,
      {header_of(call, "webhook-id"), header_of(call, "webhook-timestamp"),
       header_of(call, "webhook-signature")},
      call.now());
}

// What the sender calls this delivery: a second one with the same name starts nothing.
std::string delivery_of(const Call& call) {
  for (const char* name : {"webhook-id", "x-github-delivery", "x-gitea-delivery",
                           "x-forgejo-delivery", "idempotency-key"}) {
    const std::string_view value = header_of(call, name);
    const bool fine =
        !value.empty() && value.size() <= kDeliveryMax &&
        std::all_of(value.begin(), value.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (fine) return std::string(value);
  }
  return {};
}

// Whether the newest definition says `on: {webhook: …}`.
Result<bool> takes_hooks(const Call& call, const std::string& project) {
  db::Store& store = call.service().store();
  const auto newest = store.get_record(conductor::kWorkflowKind, project + "/" + call.params.at(0));
  if (!newest) return newest.error();
  const Result<Value> facts = *newest ? parse_json((*newest)->json) : Result<Value>(Value());
  if (!facts || !*newest || facts->bool_or("deleted", false)) return false;
  const auto stored = store.get_record(conductor::kDefinitionKind, facts->string_or("digest", ""));
  if (!stored) return stored.error();
  const Result<Value> text = *stored ? parse_json((*stored)->json) : Result<Value>(Value());
  if (!text) return text.error();
  return lang::parse_workflow(text->string_or("text", ""), {.default_name = call.params.at(0)})
      .spec.on.webhook;
}

Result<conductor::StartRun> read_delivery(const Call& call, const std::string& project) {
  conductor::StartRun start{.workflow = call.params.at(0)};
  start.principal = {.name = "webhook", .role = auth::Role::operator_, .project = project};
  const std::string delivery = delivery_of(call);
  Object trigger{{"kind", "webhook"}};
  if (!delivery.empty()) trigger.emplace_back("delivery", delivery);
  for (const char* name : {"x-github-event", "x-gitea-event"}) {
    if (const std::string_view type = header_of(call, name); !type.empty())
      trigger.emplace_back("event", to_valid_utf8(type));
  }
  start.trigger = Value(std::move(trigger));
  if (!call.request.body.empty()) {
    Result<Value> event = parse_json(call.request.body);
    if (!event) return event.error();
    start.event = std::move(*event);
  }
  if (!delivery.empty()) {
    start.idempotency = conductor::Idempotency{.scope = project + "/hook/" + call.params.at(0),
                                               .key = delivery,
                                               .request_digest = sha256_hex(call.request.body)};
  }
  return start;
}

void answer_started(const Call& call, const Result<conductor::RunView>& view) {
  if (!view) return call.fail(view.error());
  http::Response response{.status = 202, .content_type = "application/json"};
  response.headers.push_back({"Location", "/api/v1/runs/" + to_string(view->id)});
  if (view->existing) response.headers.push_back({"Idempotency-Replayed", "true"});
  // Whoever sends webhooks need not see inputs and the like.
  response.body = "{\"id\":\"" + to_string(view->id) + "\"}";
  call.answer(std::move(response));
}
}  // namespace

void take_hook(const CallPtr& call) {
  const std::string project =
      call->query("project").empty() ? std::string(kDefaultProject) : call->query("project");
  const auto secret = call->world->secrets->value(project, "webhook_" + call->params.at(0));
  // One answer for "no such workflow", "no secret" and "wrong signature": who cannot sign learns
  // nothing.
  if (!secret || !is_signed(*call, *secret)) {
    return call->fail({Code::unauthenticated,
                       "the signature does not fit: sign the body with the secret webhook_" +
                           to_valid_utf8(call->params.at(0)),
                       {}});
  }
  offload(call, [call, project] {
    const Result<bool> takes = takes_hooks(*call, project);
    if (!takes) return call->fail(takes.error());
    if (!*takes) {
      return call->fail({Code::workflow_not_found,
                         "there is no workflow " + call->params.at(0) + " with `on: {webhook: {}}`",
                         {}});
    }
    Result<conductor::StartRun> start = read_delivery(*call, project);
    if (!start) return call->fail(start.error());
    call->service().start_run(std::move(*start), [call](const Result<conductor::RunView>& view) {
      answer_started(*call, view);
    });
  });
}
}  // namespace mc::api
