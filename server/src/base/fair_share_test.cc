#include "base/fair_share.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace mc {
namespace {

TEST(FairShare, WhoHasTheLeastForItsWeightIsNext) {
  const std::vector<Contender> all{{{.running = 4, .weight = 2}, 0},
                                   {{.running = 1, .weight = 1}, 1},
                                   {{.running = 8, .weight = 3}, 2}};
  EXPECT_EQ(next_in_turn(all), 1U);
}

TEST(FairShare, AmongEqualsTheirTurnsCountAndThenTheOrder) {
  EXPECT_EQ(next_in_turn(std::vector<Contender>{{{.turn = 5}, 0}, {{.turn = 4}, 1}}), 1U);
  EXPECT_EQ(next_in_turn(std::vector<Contender>{{{.turn = 4}, 1}, {{.turn = 4}, 0}}), 1U);
}

// Pieces that are never given back end up by weight, whatever the weights are.
TEST(FairShare, SharesFollowTheWeights) {
  Rng rng(7);
  for (int world = 0; world < 200; ++world) {
    std::vector<Contender> all(1 + rng.below(8));
    for (Contender& each : all) each.share.weight = 1 + static_cast<int>(rng.below(9));
    for (int i = 0; i < 200; ++i) {
      FairShare& next = all[next_in_turn(all)].share;
      ++next.running;
      next.turn += kStride / static_cast<std::uint64_t>(next.weight);
      for (const Contender& a : all) {
        for (const Contender& b : all) {
          ASSERT_LE(
              static_cast<double>(a.share.running) / a.share.weight,
              static_cast<double>(b.share.running + 1) / b.share.weight + 1.0 / a.share.weight);
        }
      }
    }
  }
}

}  // namespace
}  // namespace mc
