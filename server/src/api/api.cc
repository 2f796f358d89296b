#include "api/api.h"

#include <algorithm>
#include <cmath>

#include "api/call.h"
#include "base/log.h"
#include "base/text.h"
#include "http/problem.h"

namespace mc::api {
namespace {
using Steady = std::chrono::steady_clock;

Result<auth::Principal> authenticate(const World& world, const http::Request& request) {
  const std::string_view token = bearer_of(request);
  if (token.empty()) {
    return Error{Code::unauthenticated, "send a token: Authorization: Bearer mst_…", {}};
  }
  return world.tokens->check(token, world.clock.now());
}

http::Response refusal(const Error& error, const http::Request& request) {
  http::Response response = http::problem(error, request.request_id);
  log_info("refused", {{"code", code_name(error.code)},
                       {"method", request.method},
                       {"path", request.path},
                       {"request_id", request.request_id}});
  if (response.status == 401) {
    const bool given = request.header("authorization") != nullptr;
    response.headers.push_back(
        {"WWW-Authenticate",
         given ? "Bearer realm=\"maestro\", error=\"invalid_token\"" : "Bearer realm=\"maestro\""});
  }
  return response;
}

Error no_such_path(const http::Request& request) {
  // As it was sent: what is decoded may look like a path that there is.
  return {Code::not_found,
          "there is nothing at " + request.target.substr(0, request.target.find('?')),
          {}};
}

// nullopt: fine. Bodies without a type are taken for what the route wants.
std::optional<Error> check_content_type(const Route& route, const http::Request& head) {
  const std::string* length = head.header("content-length");
  const bool has_body =
      head.header("transfer-encoding") != nullptr || (length != nullptr && *length != "0");
  const std::string* coding = head.header("content-encoding");
  if (has_body && coding != nullptr && !coding->empty() && to_lower(*coding) != "identity") {
    return Error{Code::unsupported_media_type,
                 "Content-Encoding is " + *coding + ": the body is wanted as it is",
                 {}};
  }
  const std::string* given = head.header("content-type");
  if (!has_body || given == nullptr || route.details.takes == Takes::bytes ||
      route.details.takes == Takes::nothing) {
    return std::nullopt;
  }
  const std::size_t end = given->find(';');
  const std::string type = media_type(head);
  const std::string rest = end == std::string::npos ? "" : to_lower(given->substr(end));
  const bool json =
      type == "application/json" || (type.starts_with("application/") && type.ends_with("+json"));
  const bool yaml = type == "application/yaml" || type == "application/x-yaml" ||
                    type == "text/yaml" || type == "text/x-yaml";
  const bool utf8 =
      rest.find("charset=") == std::string::npos || rest.find("utf-8") != std::string::npos;
  const bool bytes = route.details.or_bytes && type == "application/octet-stream";
  const bool fits = bytes || (route.details.takes == Takes::json ? json : yaml);
  if (fits && utf8) return std::nullopt;
  std::string wanted = route.details.takes == Takes::json ? "application/json" : "application/yaml";
  if (route.details.or_bytes) wanted += " or application/octet-stream";
  return Error{Code::unsupported_media_type,
               "Content-Type is " + *given + ": " + wanted + " in UTF-8 is wanted",
               {}};
}

http::Response method_refusal(const Match& found, const http::Request& head) {
  const std::string allowed = join(found.allowed, ", ");
  http::Response response =
      refusal({Code::method_not_allowed, head.path + " takes " + allowed, {}}, head);
  response.headers.push_back({"Allow", allowed});
  return response;
}

// What the head alone decides; fills `principal` for routes that need one.
std::optional<http::Response> check(World& world, const Match& found, const http::Request& head,
                                    auth::Principal& principal, bool first_look) {
  if (world.stopped) return refusal(stopping(), head);
  const bool known = !found.allowed.empty();
  if (!found.open && (known || head.path.starts_with("/api/"))) {
    Result<auth::Principal> who = authenticate(world, head);
    if (!who) return refusal(who.error(), head);
    principal = std::move(*who);
  }
  if (!known) return refusal(no_such_path(head), head);
  if (found.route == nullptr) return method_refusal(found, head);
  const Route& route = *found.route;
  if (route.permission != auth::Permission::open &&
      !auth::allows(principal.role, route.permission)) {
    return refusal({Code::forbidden,
                    "the role " + std::string(auth::to_name(principal.role)) +
                        " may not do this: a token with another role is needed",
                    {}},
                   head);
  }
  if (!first_look) return std::nullopt;
  if (route.details.rate == Rate::api) {
    const std::string& who = principal.token_id.empty() ? head.remote : principal.token_id;
    const Millis wait = world.counts->limiter.take(who, world.clock.now());
    if (wait.count() > 0) {
      http::Response response = http::problem(
          {Code::rate_limited, "this token sends too many requests", {}}, head.request_id);
      constexpr std::int64_t kSecond = 1000;
      for (http::Header& header : response.headers) {
        if (header.name == "Retry-After")
          header.value = std::to_string((wait.count() + kSecond - 1) / kSecond);
      }
      return response;
    }
  }
  if (const auto wrong = check_content_type(route, head)) return refusal(*wrong, head);
  return std::nullopt;
}

CallPtr make_call(const std::shared_ptr<World>& world, Match found, http::Request request,
                  auth::Principal principal, http::Reply reply) {
  auto call = std::make_shared<Call>();
  call->world = world;
  call->request = std::move(request);
  call->route = found.route;
  call->route_index = found.index;
  call->params = std::move(found.params);
  call->principal = std::move(principal);
  call->reply = std::move(reply);
  call->began = Steady::now();
  return call;
}
}  // namespace

std::string_view bearer_of(const http::Request& request) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string* header = request.header("authorization");
  if (header == nullptr || header->size() < kScheme.size()) return {};
  if (to_lower(std::string_view(*header).substr(0, kScheme.size())) != kScheme) return {};
  return trim(std::string_view(*header).substr(kScheme.size()));
}

Counts::Counts(RateLimit limit) : limiter(limit), metrics(routes().size()) {}

bool GoodDefinitions::has(const std::string& digest) const {
  const std::lock_guard lock(mutex_);
  return digests_.contains(digest);
}

void GoodDefinitions::add(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  if (digests_.size() >= kMax) digests_.clear();
  digests_.insert(digest);
}

void OpenBodies::put(const void* body, std::shared_ptr<void> holds) {
  const std::lock_guard lock(mutex_);
  holds_[body] = std::move(holds);
}

void OpenBodies::drop(const void* body) {
  const std::lock_guard lock(mutex_);
  holds_.erase(body);
}

void OpenBodies::drop_all() {
  const std::lock_guard lock(mutex_);
  holds_.clear();
}

World::World(Deps with)
    : service(with.service),
      clock(with.clock),
      tokens(std::move(with.tokens)),
      secrets(std::move(with.secrets)),
      options(std::move(with.options)),
      counts(with.counts ? with.counts : std::make_shared<Counts>(options.rate_limit)),
      pool(options.pool_threads) {}

Api::Api(Deps deps) : world_(std::make_shared<World>(std::move(deps))) {
  world_->service.set_secret_source(
      [secrets = world_->secrets](std::string_view project, std::string_view name) {
        return secrets->value(project, name);
      });
}

Api::~Api() { stop(); }

void Api::stop() {
  world_->stopped = true;
  world_->streams.stop();
  world_->gate.close();
  world_->pool.stop();
  world_->bodies.drop_all();
}

RateLimiter& Api::limiter() { return world_->counts->limiter; }

http::Admission Api::admit(const http::Request& head) {
  const Gate::Guest inside = world_->gate.enter();
  Match found = match(head.method, head.target);
  auth::Principal principal;
  http::Admission admission;
  admission.refusal = check(*world_, found, head, principal, true);
  if (admission.refusal) {
    world_->counts->metrics.count(found.index, admission.refusal->status, Millis(0));
    return admission;
  }
  const Route& route = *found.route;
  admission.body_max = route.details.body_max;
  if (route.details.sink != nullptr) {
    admission.sink =
        route.details.sink(make_call(world_, std::move(found), head, std::move(principal), {}));
  }
  return admission;
}

void Api::handle(http::Request request, http::Reply reply) {
  const Gate::Guest inside = world_->gate.enter();
  Match found = match(request.method, request.target);
  auth::Principal principal;
  // Asked again: the token may have been revoked while the body was on its way.
  if (auto refused = check(*world_, found, request, principal, false)) {
    return reply(std::move(*refused));
  }
  if (request.body.size() > found.route->details.body_max) {
    return reply(refusal({Code::too_large, "the body is too large", {}}, request));
  }
  const api::Handler handler = found.route->handler;
  handler(make_call(world_, std::move(found), std::move(request), std::move(principal),
                    std::move(reply)));
}
}  // namespace mc::api
