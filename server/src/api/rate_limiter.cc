#include "api/rate_limiter.h"

#include <algorithm>
#include <cmath>

namespace mc::api {
namespace {
constexpr double kMillisASecond = 1000;
}  // namespace

void RateLimiter::fill(Bucket& bucket, Instant now) const {
  const double passed =
      static_cast<double>(std::max<std::int64_t>(0, (now - bucket.filled_at).count()));
  bucket.left = std::min(limit_.burst, bucket.left + passed * limit_.per_second / kMillisASecond);
  bucket.filled_at = now;
}

Millis RateLimiter::take(const std::string& who, Instant now) {
  std::unique_lock lock(mutex_);
  if (buckets_.size() >= kBucketsMax && !buckets_.contains(who)) forget_full(now);
  Bucket& bucket = buckets_.try_emplace(who, Bucket{limit_.burst, now}).first->second;
  fill(bucket, now);
  if (bucket.left >= 1) {
    bucket.left -= 1;
    const bool first = wake_ != nullptr && await_collection(who, bucket);
    lock.unlock();
    if (first) wake_();
    return Millis(0);
  }
  const double wait = (1 - bucket.left) * kMillisASecond / limit_.per_second;
  return Millis(std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(wait))));
}

// Whether nobody waited before.
bool RateLimiter::await_collection(const std::string& who, Bucket& bucket) {
  bucket.taken += 1;
  if (bucket.waiting) return false;
  bucket.waiting = true;
  waiting_.push_back(who);
  return waiting_.size() == 1;
}

void RateLimiter::share(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

std::vector<RateLimiter::Taken> RateLimiter::collect(std::size_t max, Instant now) {
  const std::lock_guard lock(mutex_);
  std::vector<Taken> out;
  while (!waiting_.empty() && out.size() < max) {
    const std::string who = std::move(waiting_.back());
    waiting_.pop_back();
    const auto found = buckets_.find(who);
    if (found == buckets_.end()) continue;
    Bucket& bucket = found->second;
    fill(bucket, now);
    const double used = limit_.burst - bucket.left;
    if (used > 0) out.push_back({who, std::min(bucket.taken, used), used, now});
    bucket.taken = 0;
    bucket.waiting = false;
  }
  return out;
}

void RateLimiter::settle(const Taken& collected, std::optional<double> used, Instant now) {
  const std::lock_guard lock(mutex_);
  const auto found = buckets_.find(collected.who);
  if (found == buckets_.end()) return;
  Bucket& bucket = found->second;
  if (!used) {
    bucket.taken += collected.taken;
    if (!bucket.waiting) waiting_.push_back(collected.who);
    bucket.waiting = true;
    return;
  }
  // Reckoned from when it was collected: what the answer took on its way is not charged.
  fill(bucket, now);
  const double passed =
      static_cast<double>(std::max<std::int64_t>(0, (now - collected.at).count()));
  const double owed = std::min(*used, 2 * limit_.burst);  // its limits may be others' than ours
  const double left = limit_.burst - owed + passed * limit_.per_second / kMillisASecond;
  bucket.left = std::min(bucket.left, left - bucket.taken);
}

void RateLimiter::forget_full(Instant now) {
  std::erase_if(buckets_, [&](const auto& entry) {
    const double passed = static_cast<double>((now - entry.second.filled_at).count());
    return entry.second.left + passed * limit_.per_second / kMillisASecond >= limit_.burst;
  });
  std::erase_if(waiting_, [&](const std::string& who) { return !buckets_.contains(who); });
}
}  // namespace mc::api
