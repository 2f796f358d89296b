#include "bin/shared_limits.h"

#include <fmt/format.h>

#include "base/log.h"

namespace mc::bin {

Result<std::unique_ptr<redis::Keeper>> open_redis(const config::Settings& settings,
                                                  const std::string& name, bool patient) {
  if (settings.redis_url.empty()) return std::unique_ptr<redis::Keeper>();
  Result<redis::Place> place = redis::parse_url(settings.redis_url);
  if (!place.ok()) return place.error();
  auto keeper = std::make_unique<redis::Keeper>(std::move(*place), name);
  const Status first = keeper->first_outcome();
  if (!first.ok() && first.error().code == Code::invalid_setting) {
    if (!patient) return first.error();
    log_warn("Redis is away: this server counts rate limits alone until it is back",
             {{"reason", first.error().message}});
  }
  return keeper;
}

std::string redis_metrics(const redis::Keeper& keeper) {
  const redis::Keeper::Figures figures = keeper.figures();
  return fmt::format(
      "# HELP maestro_redis_up 1 when Redis answered last time, 0 when it is away.\n"
      "# TYPE maestro_redis_up gauge\nmaestro_redis_up {}\n"
      "# HELP maestro_redis_calls_total Batches that Redis answered.\n"
      "# TYPE maestro_redis_calls_total counter\nmaestro_redis_calls_total {}\n"
      "# HELP maestro_redis_failures_total Attempts that failed or were refused.\n"
      "# TYPE maestro_redis_failures_total counter\nmaestro_redis_failures_total {}\n",
      figures.up ? 1 : 0, figures.calls, figures.failures);
}

SharedLimits::SharedLimits(api::RateLimiter& limiter, redis::Keeper& keeper)
    : limiter_(limiter), keeper_(keeper) {
  limiter_.share([this] { keeper_.wake(); });
  keeper_.share(this);
}

SharedLimits::~SharedLimits() {
  keeper_.share(nullptr);
  limiter_.share({});
}

redis::RateTerms SharedLimits::terms() const {
  return {.per_second = limiter_.limit().per_second, .burst = limiter_.limit().burst};
}

std::vector<redis::RateCharge> SharedLimits::collect(std::size_t max) {
  collected_ = limiter_.collect(max, system_clock().now());
  std::vector<redis::RateCharge> charges;
  for (const api::RateLimiter::Taken& each : collected_)
    charges.push_back({.who = each.who, .taken = each.taken, .used = each.used});
  return charges;
}

void SharedLimits::settle(std::span<const std::optional<double>> used) {
  MC_CHECK(used.size() == collected_.size());
  const Instant now = system_clock().now();
  for (std::size_t i = 0; i < used.size(); ++i) limiter_.settle(collected_[i], used[i], now);
}

}  // namespace mc::bin
