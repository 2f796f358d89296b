// The HTTP API (docs/reference/api.md): who asks, may they, which handler, and the answer. Knows no
// socket: give it to http::Server, or call it in the same process.
//
// Ending: Api::stop(), then Service::stop(). From then on nothing uses the service, its store and
// its blobs, even while an http::Server goes on and connections hold calls that have not ended: all
// may be destroyed; the Api once nobody calls admit() or handle() any more.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/counts.h"
#include "api/secret_table.h"
#include "api/token_table.h"
#include "base/time.h"
#include "conductor/service.h"
#include "http/server.h"

namespace mc::api {

struct Options {
  std::string version = "dev";
  std::string public_url = "http://127.0.0.1:4000";
  RateLimit rate_limit;  // of each token; not asked for where Deps::counts is given
  int pool_threads = 2;
  Millis wait_max{300'000};  // of GET /runs/{id}?wait=
  // What /readyz says of Redis ("ok", or "away: " and why), and its figures for /metrics; null:
  // there is none. Called on any thread until the Api ends.
  std::function<std::string()> redis_state;
  std::function<std::string()> redis_metrics;
  // What /metrics shows of conductors; null: the service's.
  std::function<conductor::Service::Health()> health;
};

struct Deps {
  conductor::Service& service;
  std::shared_ptr<TokenTable> tokens;    // shared with whoever mints local tokens
  std::shared_ptr<SecretTable> secrets;  // shared with the service's secret source
  Clock& clock = system_clock();
  Options options;
  std::shared_ptr<Counts> counts = nullptr;  // shared with other Apis; null: its own
};

struct World;

class Api final : public http::Handler {
 public:
  // Also gives the service its source of secrets.
  explicit Api(Deps deps);
  ~Api() override;  // stop()
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  http::Admission admit(const http::Request& head) override;
  void handle(http::Request request, http::Reply reply) override;
  // The one that all requests are counted by. Lives as long as this.
  RateLimiter& limiter();
  // Ends streams (their clients come back) and threads, and waits for whoever is inside; requests
  // from now on are answered with shutting_down. What the service was asked before is answered by
  // its own stop(). Requires: not on a thread that is inside admit() or handle(), or the pool's.
  void stop();

 private:
  std::shared_ptr<World> world_;  // shared with calls that have not ended
};

// The token of "Authorization: Bearer TOKEN"; "" when there is none.
std::string_view bearer_of(const http::Request& request);

// The description of the API, OpenAPI 3.1, made from the table of routes.
std::string openapi_json(const std::string& version);

}  // namespace mc::api
