#include "sim/world.h"

#include <gtest/gtest.h>

#include "sim/faults.h"

namespace mc::sim {
namespace {

// Enough to see that every profile works; the thousands are maestro-sim's.
constexpr std::uint64_t kSeeds = 4;

class WorldTest : public testing::TestWithParam<std::string> {};

TEST_P(WorldTest, HoldsWhatIsPromised) {
  int busy = 0;  // a clock that jumps over the whole time for faults leaves nothing to do
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Verdict verdict = simulate(seed, GetParam());
    EXPECT_EQ(verdict.violation, "") << "seed " << seed;
    busy += verdict.runs > 0 && verdict.jobs > 0 ? 1 : 0;
  }
  EXPECT_GT(busy, 1);
}

TEST_P(WorldTest, IsTheSameForTheSameSeed) {
  const Verdict once = simulate(7, GetParam());
  const Verdict again = simulate(7, GetParam());
  EXPECT_EQ(once.fingerprint, again.fingerprint);
  EXPECT_EQ(once.steps, again.steps);
  EXPECT_NE(once.fingerprint, simulate(8, GetParam()).fingerprint);
}

INSTANTIATE_TEST_SUITE_P(Profiles, WorldTest, testing::ValuesIn(profile_names()),
                         [](const auto& info) { return info.param; });

TEST(Faults, AreCountedAndNoneIsDealtOutInACalmWorld) {
  EXPECT_EQ(simulate(3, "calm").injected, 0);
  EXPECT_GT(simulate(3, "storm").injected, 50);
}

TEST(Faults, AnUnknownProfileIsRefused) {
  Rng rng(1);
  EXPECT_FALSE(choose_faults("quiet", rng));
}

}  // namespace
}  // namespace mc::sim
