// Random workflows under random commands: whatever happens, the invariants hold after every step,
// the log replays to the same state, and once everybody answers the run ends.
#include "engine/random_run_test.h"

namespace mc::engine {
namespace {

void live(std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  const std::string text = random_workflow(rng);
  SCOPED_TRACE(text);
  Rig rig(text);
  rig.start(Object{{"flag", Value(rng.chance(0.7))}});
  const double luck = rng.unit();
  for (int step = 0; step < 120 && !is_final(rig.run().status); ++step) {
    if (rng.chance(0.02)) {
      rig.cancel();
    } else if (rng.chance(0.2)) {
      rig.pass(Millis(static_cast<std::int64_t>(rng.below(400'000))));
    } else {
      poke(rig, rng, static_cast<NodeIndex>(rng.below(rig.run().jobs.size())), luck);
    }
    if (testing::Test::HasFailure()) return;
  }
  // Nobody answers any more: the deadlines alone must bring the run to its end.
  for (int i = 0; i < 400 && !is_final(rig.run().status); ++i) {
    const Instant due = next_due(rig.run());
    ASSERT_TRUE(due) << print(rig.run());
    rig.pass(std::max(Millis(1), due - rig.now()));
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_TRUE(is_final(rig.run().status)) << print(rig.run());
}

TEST(RandomRuns, AlwaysEndAndNeverBreakAnInvariant) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    live(seed);
    if (HasFailure()) break;
  }
}
}  // namespace
}  // namespace mc::engine
