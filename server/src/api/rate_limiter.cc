#include "api/rate_limiter.h"

#include <algorithm>
#include <cmath>

namespace mc::api {
namespace {
constexpr double kMillisASecond = 1000;
}  // namespace

Millis RateLimiter::take(const std::string& who, Instant now) {
  const std::lock_guard lock(mutex_);
  if (buckets_.size() >= kBucketsMax && !buckets_.contains(who)) forget_full(now);
  Bucket& bucket = buckets_.try_emplace(who, Bucket{limit_.burst, now}).first->second;
  const double passed =
      static_cast<double>(std::max<std::int64_t>(0, (now - bucket.filled_at).count()));
  bucket.left = std::min(limit_.burst, bucket.left + passed * limit_.per_second / kMillisASecond);
  bucket.filled_at = now;
  if (bucket.left >= 1) {
    bucket.left -= 1;
    return Millis(0);
  }
  const double wait = (1 - bucket.left) * kMillisASecond / limit_.per_second;
  return Millis(std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(wait))));
}

void RateLimiter::forget_full(Instant now) {
  std::erase_if(buckets_, [&](const auto& entry) {
    const double passed = static_cast<double>((now - entry.second.filled_at).count());
    return entry.second.left + passed * limit_.per_second / kMillisASecond >= limit_.burst;
  });
}
}  // namespace mc::api
