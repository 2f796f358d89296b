// POST /api/v1/hooks/{workflow}: whoever knows the secret `webhook_<workflow>` starts a run.
// Needs no token: the signature over the body is the proof.
#include "api/call.h"
#include "api/delivery.h"
#include "api/handlers.h"
#include "base/json.h"
#include "base/text.h"
#include "conductor/records.h"
#include "lang/parse.h"

namespace mc::api {
namespace {
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
  const std::string delivery = delivery_id(call);
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
  start.idempotency = delivery_key(call, project, call.params.at(0));
  return start;
}

void answer_started(const Call& call, const Result<conductor::RunView>& view) {
  if (!view) return call.fail(view.error());
  http::Response response{.status = 202, .content_type = "application/json"};
  response.headers.push_back({"Location", "/api/v1/runs/" + to_string(view->id)});
  if (view->replayed != 0) response.headers.push_back({"Idempotency-Replayed", "true"});
  // Whoever sends webhooks need not see inputs and the like.
  response.body = "{\"id\":\"" + to_string(view->id) + "\"}";
  call.answer(std::move(response));
}
}  // namespace

void take_hook(const CallPtr& call) {
  const std::string project = delivery_project(*call);
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
