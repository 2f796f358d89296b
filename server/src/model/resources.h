// What a job takes of its worker, and what a worker has.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace mc {

struct Resources {
  std::int64_t cpu_milli = 0;  // thousandths of a processor
  std::int64_t memory = 0;     // bytes
  auto operator<=>(const Resources&) const = default;
  bool empty() const { return cpu_milli == 0 && memory == 0; }
};

inline constexpr double kCpusMin = 0.001;
inline constexpr double kCpusMax = 10'000;
inline constexpr std::int64_t kMemoryMax = std::int64_t{1} << 50;

inline constexpr std::int64_t kMilliACpu = 1000;
std::int64_t cpu_milli_of(double cpus);  // requires: 0 to kCpusMax
double cpus_of(const Resources& resources);

// What is left of `all`, of which 0 means no limit, suffices for `wanted`.
bool suffices(const Resources& all, const Resources& used, const Resources& wanted);

// "2 CPUs and 512.0 MiB"; of what is 0 nothing is said.
std::string to_text(const Resources& resources);

}  // namespace mc
