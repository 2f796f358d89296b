// Probes, figures, the description of the API, and who is asking.
#include <fmt/format.h>

#include "api/call.h"
#include "api/errors_page.h"
#include "api/handlers.h"
#include "base/json.h"
#include "http/problem.h"

namespace mc::api {

void get_health(const CallPtr& call) { call->json("{\"status\":\"ok\"}"); }

void get_ready(const CallPtr& call) {
  const conductor::Service::Health health = call->service().health();
  const bool ready = health.ready && !call->world->stopped;
  JsonWriter out;
  out.open('{').field("status", ready ? "ready" : "not_ready");
  if (!ready) out.text_or_null("detail", health.detail);
  // Nothing depends on it: without it the server is ready all the same.
  if (const auto& redis = call->world->options.redis_state)
    out.key("checks").open('{').field("redis", redis()).close('}');
  out.close('}');
  if (ready) return call->json(out.take());
  http::Response response{.status = 503, .content_type = "application/json"};
  response.headers.push_back({"Retry-After", "1"});
  response.body = out.take();
  call->answer(std::move(response));
}

void get_metrics(const CallPtr& call) {
  // Reads /proc, which is no disk but takes its time.
  offload(call, [call] {
    std::vector<std::string> labels;
    for (const Route& route : routes())
      labels.push_back(fmt::format("method=\"{}\",route=\"{}\"", route.method, route.pattern));
    labels.emplace_back("method=\"\",route=\"none\"");
    const World& world = *call->world;
    call->answer({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                  .body = service_metrics(world.options.health ? world.options.health()
                                                               : world.service.health(),
                                          world.options.version) +
                          world.counts->metrics.text(labels) + process_metrics() +
                          (world.options.redis_metrics ? world.options.redis_metrics() : "")});
  });
}

void get_errors_page(const CallPtr& call) {
  call->answer({.content_type = "text/plain; charset=utf-8", .body = std::string(errors_page())});
}

void get_openapi(const CallPtr& call) {
  offload(call, [call] { call->json(openapi_json(call->world->options.version)); });
}

void get_version(const CallPtr& call) {
  JsonWriter out;
  out.open('{').field("name", "maestro").field("version", call->world->options.version);
  out.field("api", "v1").field("public_url", call->world->options.public_url).close('}');
  call->json(out.take());
}

void get_me(const CallPtr& call) {
  const auth::Principal& who = call->principal;
  JsonWriter out;
  out.open('{').field("name", who.name).field("role", auth::to_name(who.role));
  out.field("project", who.project).key("groups").open('[');
  for (const std::string& group : who.groups) out.item(group);
  out.close(']').field("token_id", who.token_id);
  const auto row = call->world->tokens->find(who.token_id);
  out.field("expires_at", row ? row->expires_at : Instant{}).close('}');
  call->json(out.take());
}
}  // namespace mc::api
