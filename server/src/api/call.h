// One request on its way to its answer. Handlers are free functions that take it, ask the Service
// or the pool, and answer exactly once.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/route.h"
#include "api/world.h"
#include "auth/principal.h"
#include "base/error.h"
#include "base/uuid.h"
#include "http/server.h"

namespace mc::api {

struct Call {
  std::shared_ptr<World> world;
  http::Request request;
  const Route* route = nullptr;
  std::size_t route_index = 0;
  std::vector<std::string> params;
  auth::Principal principal;
  http::Reply reply;
  std::chrono::steady_clock::time_point began;

  // Each answers the call; any thread.
  void answer(http::Response response) const;
  void fail(const Error& error) const;
  void json(std::string body, int status = 200) const;
  void created(std::string body, std::string location) const;
  void no_content() const;

  const std::string& query(std::string_view name) const;  // "" when missing
  bool accepts(std::string_view media_type) const;        // named in Accept, not by a wildcard
  conductor::Service& service() const { return world->service; }
  Instant now() const { return world->clock.now(); }
};

// What Content-Type names, in lower case and without parameters; "" when there is none.
std::string media_type(const http::Request& request);

// For Service calls that give the API's JSON: answers with it, or with the error.
conductor::Done<std::string> json_or_error(CallPtr call, int status = 200);
conductor::Done<bool> no_content_or_error(CallPtr call);

// What is said of what comes after the end.
Error stopping();

// Runs `work` on the pool; overloaded when it is full.
void offload(const CallPtr& call, std::function<void()> work);

// The {id} of a run. Errors: run_not_found, also for what is no id.
Result<Uuid> run_id(const Call& call);
// ?limit=, 1 to `max`. Errors: invalid_field.
Result<int> read_limit(const Call& call, int fallback = 50, int max = 100);
// ?name=, an integer. Errors: invalid_field.
Result<std::int64_t> read_number(const Call& call, std::string_view name, std::int64_t fallback,
                                 std::int64_t min, std::int64_t max);

// The Idempotency-Key of a call. Errors: invalid_field when it is not 1 to 255 visible characters.
Result<std::optional<conductor::Idempotency>> idempotency_of(const Call& call);
// For creating calls whose Service method knows no keys: with a key, the first good answer is kept
// and given again; `work` is called when there is none, and answers the call it is given.
// `sealed`: the kept answer is a secret, and is sealed.
void once(const CallPtr& call, bool sealed, std::function<void(const CallPtr&)> work);

}  // namespace mc::api
