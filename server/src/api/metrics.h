// Counters of requests by route, method and status, and how long answers took; written as
// Prometheus text. Any thread; counting takes no lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "conductor/service.h"

namespace mc::api {

class Metrics {
 public:
  // Requests that fit no route are counted under the last index, `routes`.
  explicit Metrics(std::size_t routes) : routes_(routes + 1) {}
  void count(std::size_t route, int status, Millis took);
  // `label(i)`: method="…",route="…" of a route.
  std::string text(const std::vector<std::string>& labels) const;

 private:
  static constexpr int kStatusFirst = 100;
  static constexpr std::size_t kStatuses = 500;
  static constexpr std::array<std::int64_t, 15> kBoundsMs = {
      1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10'000, 30'000, 60'000};
  struct Route {
    std::array<std::atomic<std::uint32_t>, kStatuses> statuses{};
    std::array<std::atomic<std::uint64_t>, kBoundsMs.size() + 1> buckets{};
    std::atomic<std::uint64_t> total_ms{0};
  };
  std::vector<Route> routes_;
};

// Gauges and counters of the conductor and of this process.
std::string service_metrics(const conductor::Service::Health& health, const std::string& version);
std::string process_metrics();

}  // namespace mc::api
