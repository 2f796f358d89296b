// What all calls share. Lives until the last call has ended; Api::stop() ends its threads.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>

#include "api/api.h"
#include "api/metrics.h"
#include "api/pool.h"
#include "api/rate_limiter.h"
#include "api/streams.h"

namespace mc::api {

// Definitions that were parsed without an error lately, by digest: not parsed again before a run.
class GoodDefinitions {
 public:
  bool has(const std::string& digest) const;
  void add(const std::string& digest);

 private:
  static constexpr std::size_t kMax = 1024;
  mutable std::mutex mutex_;  // guards digests_
  std::set<std::string> digests_;
};

struct World {
  explicit World(Deps with);

  conductor::Service& service;
  Clock& clock;
  std::shared_ptr<TokenTable> tokens;
  std::shared_ptr<SecretTable> secrets;
  const Options options;
  Metrics metrics;
  RateLimiter limiter;
  GoodDefinitions good_definitions;
  std::mutex in_flight_mutex;       // guards in_flight
  std::set<std::string> in_flight;  // idempotency keys being worked on
  std::atomic<bool> stopped{false};
  Streams streams;
  Pool pool;  // last: its work uses everything above
};

}  // namespace mc::api
