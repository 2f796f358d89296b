#include "conductor/dispatcher.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace mc::conductor {
namespace {
WorkerInfo worker_with(std::vector<std::string> labels) {
  WorkerInfo worker;
  worker.labels = std::move(labels);
  return worker;
}

// Jobs are told apart by their node.
struct Line {
  Dispatcher dispatcher;
  WorkerInfo worker = worker_with({"linux"});
  void add(NodeIndex node, const std::string& project, int priority = 0,
           std::vector<std::string> labels = {}) {
    dispatcher.add({std::move(labels), project, priority}, Uuid{}, node);
  }
  std::vector<NodeIndex> take(std::size_t count) {
    std::vector<NodeIndex> taken;
    while (taken.size() < count) {
      const auto job = dispatcher.take(worker);
      if (!job) break;
      taken.push_back(job->node);
    }
    return taken;
  }
};
using Nodes = std::vector<NodeIndex>;

TEST(Dispatcher, WithinAProjectFirstComeFirstServedOverAllLabels) {
  Line line;
  line.add(1, "a");
  line.add(2, "a", 0, {"linux"});
  line.add(3, "a", 0, {"mac"});
  line.add(4, "a");
  EXPECT_EQ(line.take(9), (Nodes{1, 2, 4}));
  EXPECT_EQ(line.dispatcher.ready_count(), 1U);
}

TEST(Dispatcher, TheHigherPriorityGoesFirst) {
  Line line;
  line.add(1, "a", -5);
  line.add(2, "a");
  line.add(3, "b", 7, {"linux"});
  line.add(4, "a", 100);
  EXPECT_EQ(line.take(9), (Nodes{4, 3, 2, 1}));
}

TEST(Dispatcher, ProjectsShareWithinOnePriorityHoweverMuchOneAsksFor) {
  Line line;
  for (NodeIndex node = 0; node < 1000; ++node) line.add(node, "big");
  for (NodeIndex node = 1000; node < 1010; ++node) line.add(node, "small");
  const Nodes taken = line.take(24);
  EXPECT_EQ(std::count_if(taken.begin(), taken.end(), [](auto n) { return n >= 1000; }), 10);
}

TEST(Dispatcher, IdlenessEarnsNoCredit) {
  Line line;
  for (NodeIndex node = 0; node < 100; ++node) line.add(node, "busy");
  line.take(50);
  for (NodeIndex node = 100; node < 150; ++node) line.add(node, "late");
  const Nodes taken = line.take(20);
  EXPECT_LE(std::count_if(taken.begin(), taken.end(), [](auto n) { return n >= 100; }), 11);
}

TEST(Dispatcher, WhatIsUrgentCostsNothingAtOtherPriorities) {
  Line line;
  line.add(1, "a");
  for (NodeIndex node = 100; node < 110; ++node) line.add(node, "b", 9);
  line.take(10);
  line.add(2, "b");
  line.add(3, "a");
  line.add(4, "b");
  EXPECT_EQ(line.take(9), (Nodes{1, 2, 3, 4}));
}

// The bound of the header, for the worst placed job among a stream of better ones.
TEST(Dispatcher, TheLowestPriorityIsServedInBoundedTime) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed);
    Line line;
    const std::uint64_t older = rng.below(4);
    for (NodeIndex node = 1; node <= older; ++node) line.add(node, "a", -100);
    constexpr NodeIndex kLast = 99;
    line.add(kLast, "a", -100);
    const std::uint64_t bound = (older + 1) * (kPassedOver + 1) * 2;
    std::uint64_t given = 0;
    for (bool served = false; !served; ++given) {
      ASSERT_LT(given, bound) << "seed " << seed;
      for (int i = 0; i < 2; ++i) {
        const bool labelled = rng.below(2) == 0;
        line.add(1000, rng.below(2) == 0 ? "a" : "b", static_cast<int>(rng.below(101)),
                 labelled ? std::vector<std::string>{"linux"} : std::vector<std::string>{});
      }
      served = line.take(1) == Nodes{kLast};
    }
  }
}

// Everything added is given exactly once, in any mixture.
TEST(Dispatcher, EveryJobIsGivenOnce) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Rng rng(seed);
    Line line;
    Nodes taken;
    for (NodeIndex node = 0; node < 100; ++node) {
      line.add(node, std::to_string(rng.below(3)), static_cast<int>(rng.below(3)) - 1,
               rng.below(2) == 0 ? std::vector<std::string>{"linux"} : std::vector<std::string>{});
      for (const NodeIndex got : line.take(rng.below(2))) taken.push_back(got);
    }
    for (const NodeIndex got : line.take(1000)) taken.push_back(got);
    std::sort(taken.begin(), taken.end());
    ASSERT_EQ(taken.size(), 100U) << "seed " << seed;
    EXPECT_EQ(std::unique(taken.begin(), taken.end()), taken.end()) << "seed " << seed;
    EXPECT_EQ(line.dispatcher.ready_count(), 0U);
  }
}
}  // namespace
}  // namespace mc::conductor
