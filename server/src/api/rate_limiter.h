// A token bucket for each API token: so that one client in a loop does not take the server from the
// others. Several servers may count together: each decides by its own buckets, tells a third party
// what it let through and learns what the others did (share, collect, settle). Any thread.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"

namespace mc::api {

struct RateLimit {
  double per_second = 100'000;  // a loop gone wild is cut; honest load is not
  double burst = 100'000;
};

class RateLimiter {
 public:
  // What one of them took here.
  struct Taken {
    std::string who;
    double taken = 0;  // since it was collected last; at most `used`: the rest is paid back
    double used = 0;   // how far the bucket is from full
    Instant at;
  };

  explicit RateLimiter(RateLimit limit) : limit_(limit) {}
  const RateLimit& limit() const { return limit_; }
  // Takes one from `who`'s bucket. 0 ms: go on; else how long until there is one again.
  Millis take(const std::string& who, Instant now);

  // From now on what is taken can be collected; `wake` is called, by whoever takes, when there is
  // something after there was nothing. Requires: nothing is taken at the same time.
  void share(std::function<void()> wake);
  // At most `max` of those from whom something was taken since they were collected.
  std::vector<Taken> collect(std::size_t max, Instant now);
  // The bucket of one that was collected was that far from full then, counting all servers: it is
  // never fuller here from now on, and may owe. nullopt: that is not known yet; it is to be
  // collected again.
  void settle(const Taken& collected, std::optional<double> used, Instant now);

 private:
  struct Bucket {
    double left = 0;  // below 0: others have taken more than there was
    Instant filled_at;
    double taken = 0;      // since it was collected
    bool waiting = false;  // is in waiting_
  };
  static constexpr std::size_t kBucketsMax = 10'000;  // full ones are forgotten beyond this
  void forget_full(Instant now);
  void fill(Bucket& bucket, Instant now) const;
  bool await_collection(const std::string& who, Bucket& bucket);

  const RateLimit limit_;
  std::mutex mutex_;  // guards what follows
  std::unordered_map<std::string, Bucket> buckets_;
  std::function<void()> wake_;
  std::vector<std::string> waiting_;  // to be collected; each once
};

}  // namespace mc::api
