// The HTTP API (docs/reference/api.md): who asks, may they, which handler, and the answer. Knows no
// socket: give it to http::Server, or call it in the same process.
//
// Ending: stop the http::Server, then Api::stop(), then destroy the Service, then the Api.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/rate_limiter.h"
#include "api/secret_table.h"
#include "api/token_table.h"
#include "base/time.h"
#include "conductor/service.h"
#include "http/server.h"

namespace mc::api {

struct Options {
  std::string version = "dev";
  std::string public_url = "http://127.0.0.1:4000";
  RateLimit rate_limit;  // of each token
  int pool_threads = 2;
  Millis wait_max{300'000};  // of GET /runs/{id}?wait=
  // What /readyz says of Redis ("ok", or "away: " and why), and its figures for /metrics; null:
  // there is none. Called on any thread until the Api ends.
  std::function<std::string()> redis_state;
  std::function<std::string()> redis_metrics;
};

struct Deps {
  conductor::Service& service;
  std::shared_ptr<TokenTable> tokens;    // shared with whoever mints local tokens
  std::shared_ptr<SecretTable> secrets;  // shared with the service's secret source
  Clock& clock = system_clock();
  Options options;
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
  // Ends streams and threads; requests from now on are answered with shutting_down.
  void stop();

 private:
  std::shared_ptr<World> world_;  // shared with calls that have not ended
};

// The description of the API, OpenAPI 3.1, made from the table of routes.
std::string openapi_json(const std::string& version);

}  // namespace mc::api
