// A snapshot stands for the events before it: what is read back behaves as what was written.
#include "conductor/snapshot.h"

#include "engine/apply.h"
#include "engine/random_run_test.h"

namespace mc::conductor {
namespace {
using engine::RunState;

RunState read_back(const RunState& run) {
  const std::string text = encode_snapshot(run);
  const auto digest = snapshot_digest(text);
  EXPECT_TRUE(digest.ok() && *digest == run.facts.digest);
  auto again = decode_snapshot(run.id, run.definition, text);
  EXPECT_TRUE(again.ok()) << again.error().message;
  if (!again.ok()) return engine::empty_run(run.id, run.definition);
  EXPECT_EQ(engine::print(*again), engine::print(run));
  EXPECT_EQ(encode_snapshot(*again), text) << "something was lost on the way";
  EXPECT_EQ(engine::next_due(*again), engine::next_due(run));
  EXPECT_FALSE(engine::violation(*again).has_value());
  return std::move(*again);
}

// Lives a while, is written down in the middle, and lives on from both the memory and the snapshot.
void live(std::uint64_t seed) {
  Rng rng(seed);
  const std::string text = engine::random_workflow(rng);
  SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + text);
  engine::Rig rig(text);
  rig.start(Object{{"flag", Value(rng.chance(0.7))}});
  const double luck = rng.unit();
  const std::uint64_t middle = rng.below(60);
  RunState kept = read_back(rig.run());
  std::size_t known = rig.history().size();
  for (std::uint64_t step = 0; step < 90 && !is_final(rig.run().status); ++step) {
    if (rng.chance(0.02)) {
      rig.cancel();
    } else if (rng.chance(0.2)) {
      rig.pass(Millis(static_cast<std::int64_t>(rng.below(400'000))));
    } else {
      engine::poke(rig, rng, static_cast<NodeIndex>(rng.below(rig.run().jobs.size())), luck);
    }
    if (step == middle) {
      kept = read_back(rig.run());
      known = rig.history().size();
    }
    if (testing::Test::HasFailure()) return;
  }
  const std::vector<Event> rest(rig.history().begin() + static_cast<std::ptrdiff_t>(known),
                                rig.history().end());
  const auto lived = engine::replay_on(std::move(kept), rest);
  ASSERT_TRUE(lived.ok()) << lived.error().message;
  EXPECT_EQ(engine::print(*lived), engine::print(rig.run()));
  EXPECT_EQ(encode_snapshot(*lived), encode_snapshot(rig.run()));
}

TEST(Snapshot, IsTheRunItWasTakenOf) {
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    live(seed);
    if (HasFailure()) break;
  }
}

TEST(Snapshot, RefusesWhatItCannotRead) {
  engine::Rig rig("jobs: {a: {steps: [{run: x}]}}");
  rig.start();
  const std::string good = encode_snapshot(rig.run());
  const auto definition = rig.run().definition;
  for (const std::string& bad : {std::string(), std::string("{}"), std::string("[]"),
                                 good.substr(0, good.size() / 2), std::string("null")}) {
    EXPECT_FALSE(decode_snapshot(rig.run().id, definition, bad).ok()) << bad;
  }
  engine::Rig other("jobs: {a: {steps: [{run: x}]}, b: {steps: [{run: x}]}}");
  (void)decode_snapshot(rig.run().id, other.run().definition, good);  // must not crash
}
}  // namespace
}  // namespace mc::conductor
