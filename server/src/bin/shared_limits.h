// Rate limits through Redis: what the composition root adds to redis/ and api/, which do not know
// each other.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "api/rate_limiter.h"
#include "config/settings.h"
#include "redis/keeper.h"

namespace mc::bin {

// The Redis that the settings name; null: none. Waits for the first attempt to reach it. `patient`:
// what is wrong is only logged, as it is of a Redis that was fine once. Errors: invalid_setting:
// the URL, the password, the database or TLS is wrong. One that cannot be reached is no error.
Result<std::unique_ptr<redis::Keeper>> open_redis(const config::Settings& settings,
                                                  const std::string& name, bool patient);

// Figures for /metrics.
std::string redis_metrics(const redis::Keeper& keeper);

// Shares what one limiter counts while this lives. Both outlive this. Requires: nothing is taken
// before it is made or after it ends.
class SharedLimits final : public redis::RateBook {
 public:
  SharedLimits(api::RateLimiter& limiter, redis::Keeper& keeper);
  ~SharedLimits() override;
  SharedLimits(const SharedLimits&) = delete;
  SharedLimits& operator=(const SharedLimits&) = delete;

  redis::RateTerms terms() const override;
  std::vector<redis::RateCharge> collect(std::size_t max) override;
  void settle(std::span<const std::optional<double>> used) override;

 private:
  api::RateLimiter& limiter_;
  redis::Keeper& keeper_;
  std::vector<api::RateLimiter::Taken> collected_;  // the keeper's thread's
};

}  // namespace mc::bin
