#include "sim/world.h"

#include <gtest/gtest.h>

#include "sim/faults.h"

namespace mc::sim {
namespace {

// Enough to see that every profile works; the thousands are maestro-sim's.
constexpr std::uint64_t kSeeds = 4;

class WorldTest : public testing::TestWithParam<std::string> {
 protected:
  static void holds(int replicas) {
    int busy = 0;  // a clock that jumps over the whole time for faults leaves nothing to do
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      const Verdict verdict = simulate(seed, GetParam(), replicas);
      EXPECT_EQ(verdict.violation, "") << "seed " << seed << ", replicas " << replicas;
      EXPECT_EQ(verdict.replicas, replicas);
      busy += verdict.runs > 0 && verdict.jobs > 0 ? 1 : 0;
    }
    EXPECT_GT(busy, 1);
  }
  static void repeats(int replicas) {
    const Verdict once = simulate(7, GetParam(), replicas);
    const Verdict again = simulate(7, GetParam(), replicas);
    EXPECT_EQ(once.fingerprint, again.fingerprint);
    EXPECT_EQ(once.steps, again.steps);
    EXPECT_NE(once.fingerprint, simulate(8, GetParam(), replicas).fingerprint);
  }
};

TEST_P(WorldTest, HoldsWhatIsPromised) { holds(1); }
TEST_P(WorldTest, HoldsWhatIsPromisedWithReplicas) { holds(3); }
TEST_P(WorldTest, IsTheSameForTheSameSeed) { repeats(1); }
TEST_P(WorldTest, IsTheSameForTheSameSeedWithReplicas) { repeats(3); }

INSTANTIATE_TEST_SUITE_P(Profiles, WorldTest, testing::ValuesIn(profile_names()),
                         [](const auto& info) { return info.param; });

TEST(Faults, AreCountedAndNoneIsDealtOutInACalmWorld) {
  for (const int replicas : {1, 3}) {
    EXPECT_EQ(simulate(3, "calm", replicas).injected, 0);
    EXPECT_GT(simulate(3, "storm", replicas).injected, 50);
  }
}

TEST(Replicas, TakeOverUnderFaultsAndOnceInACalmWorld) {
  EXPECT_EQ(simulate(3, "calm", 3).takeovers, 1);
  EXPECT_GT(simulate(3, "storm", 3).takeovers, 3);
}

TEST(Replicas, AreDrawnByChanceInAQuarterOfTheSeeds) {
  int several = 0;
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const int replicas = replicas_of(seed, "swarm", kByChance);
    ASSERT_TRUE(replicas >= 1 && replicas <= 4);
    several += replicas > 1 ? 1 : 0;
    EXPECT_EQ(replicas_of(seed, "swarm", 1), 1);
    EXPECT_GE(replicas_of(seed, "database", kByChance), 2);
  }
  EXPECT_NEAR(several, 250, 50);
}

TEST(Faults, AnUnknownProfileIsRefused) {
  Rng rng(1);
  EXPECT_FALSE(choose_faults("quiet", rng));
}

}  // namespace
}  // namespace mc::sim
