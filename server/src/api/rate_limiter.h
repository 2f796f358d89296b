// A token bucket for each API token: so that one client in a loop does not take the server from the
// others. Any thread.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>

#include "base/time.h"

namespace mc::api {

struct RateLimit {
  double per_second = 100'000;  // a loop gone wild is cut; honest load is not
  double burst = 100'000;
};

class RateLimiter {
 public:
  explicit RateLimiter(RateLimit limit) : limit_(limit) {}
  // Takes one from `who`'s bucket. 0 ms: go on; else how long until there is one again.
  Millis take(const std::string& who, Instant now);

 private:
  struct Bucket {
    double left = 0;
    Instant filled_at;
  };
  static constexpr std::size_t kBucketsMax = 10'000;  // full ones are forgotten beyond this
  void forget_full(Instant now);

  const RateLimit limit_;
  std::mutex mutex_;  // guards buckets_
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace mc::api
