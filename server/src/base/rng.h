// Seeded randomness: the same seed gives the same numbers everywhere, so that tests can replay.
#pragma once

#include <cstdint>

namespace mc {

// splitmix64 (Steele, Lea, Flood 2014). Not for secrets: those come from auth/.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // In [0, bound). Requires: bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // In [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool chance(double probability) { return unit() < probability; }

 private:
  std::uint64_t state_;
};

// A seed from the operating system.
std::uint64_t random_seed();

}  // namespace mc
