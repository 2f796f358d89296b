#include "base/fair_share.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace mc {

std::size_t next_in_turn(std::span<const Contender> all) {
  MC_CHECK(!all.empty());
  const auto weighed = [](const FairShare& a, const FairShare& b) {
    return (a.running + 1) * static_cast<std::size_t>(b.weight);
  };
  // With one more.
  const auto least = std::ranges::min_element(all, [&](const Contender& a, const Contender& b) {
    return weighed(a.share, b.share) < weighed(b.share, a.share);
  });
  std::size_t next = all.size();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (least->share.is_behind(all[i].share)) continue;
    const auto rank = [&](std::size_t at) { return std::pair(all[at].share.turn, all[at].order); };
    if (next == all.size() || rank(i) < rank(next)) next = i;
  }
  return next;
}

std::uint64_t lowest_turn(std::span<const Contender> all) {
  std::uint64_t lowest = UINT64_MAX;
  for (const Contender& each : all) lowest = std::min(lowest, each.share.turn);
  return lowest;
}

void give_piece(FairShare& share) {
  ++share.running;
  share.turn += kStride / static_cast<std::uint64_t>(share.weight);
}

}  // namespace mc
