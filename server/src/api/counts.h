// What is counted of requests, by however many Apis a process has.
#pragma once

#include "api/metrics.h"
#include "api/rate_limiter.h"

namespace mc::api {

struct Counts {
  explicit Counts(RateLimit limit);
  RateLimiter limiter;
  Metrics metrics;
};

}  // namespace mc::api
