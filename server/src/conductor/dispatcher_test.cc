#include "conductor/dispatcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "base/rng.h"

namespace mc::conductor {
namespace {
const auto kAll = [](const ReadyJob&) { return true; };
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
    dispatcher.add({std::move(labels), project, priority, {}}, Uuid{}, node);
  }
  std::vector<NodeIndex> take(std::size_t count) {
    std::vector<NodeIndex> taken;
    while (taken.size() < count) {
      const auto job = dispatcher.take(worker, kAll);
      if (!job) break;
      taken.push_back(job->node);
    }
    return taken;
  }
  // Gives `count` jobs to `slots` slots, whose jobs end in the order they began; the projects are
  // told apart by the thousands of their nodes.
  std::map<NodeIndex, int> serve(std::size_t slots, int count) {
    std::map<NodeIndex, int> given;
    for (; count > 0; --count) {
      if (running.size() == slots) {
        dispatcher.ended({running.front(), "", {}});
        running.pop_front();
      }
      const auto job = dispatcher.take(worker, kAll);
      if (!job) break;
      ++given[job->node / 1000];
      running.push_back(std::to_string(job->node / 1000));
      dispatcher.began({running.back(), "", {}});
    }
    return given;
  }
  void add_many(NodeIndex project, NodeIndex count, std::vector<std::string> labels = {}) {
    for (NodeIndex node = 0; node < count; ++node)
      add(project * 1000 + node, std::to_string(project), 0, labels);
  }
  std::deque<std::string> running;
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

TEST(Dispatcher, ProjectsShareHoweverMuchOneAsksFor) {
  for (const std::size_t slots : {1U, 2U, 5U}) {
    Line line;
    line.add_many(1, 900);
    line.add_many(2, 10);
    EXPECT_EQ(line.serve(slots, 24)[2], 10) << slots << " slots";
  }
}

TEST(Dispatcher, IdlenessEarnsNoCredit) {
  Line line;
  line.add_many(1, 900);
  line.serve(4, 400);
  line.add_many(2, 400);
  const auto given = line.serve(4, 100);
  EXPECT_NEAR(given.at(2), 50, 8);
}

TEST(Dispatcher, OneThatNoWorkerCanServeCostsTheOthersNothing) {
  Line line;
  line.add_many(3, 1, {"gpu"});
  line.add_many(1, 900);
  line.serve(2, 500);
  line.add_many(2, 100);
  EXPECT_NEAR(line.serve(2, 100).at(2), 50, 8);
}

TEST(Dispatcher, JobsThatWereCancelledCostTheirProjectNothing) {
  Line line;
  line.add_many(1, 900);
  line.add_many(2, 900);
  int live = 0;
  for (int i = 0; i < 1'000 && live < 100; ++i) {
    const auto job = line.dispatcher.take(line.worker, kAll);
    if (job->node / 1000 == 1 && job->node < 1'800) continue;  // stale: nothing begins
    ++live;
  }
  line.add_many(1, 50);
  EXPECT_GE(line.serve(1, 40)[1], 16);
}

TEST(Dispatcher, StaleJobsAreForgottenAlsoWhereNoWorkerLooks) {
  Line line;
  const auto is_even = [](const ReadyJob& job) { return job.node % 2 == 0; };
  line.add_many(1, 900, {"gpu"});
  line.dispatcher.drop_stale(is_even);
  EXPECT_EQ(line.dispatcher.ready_count(), 900U) << "too few to look through";
  line.add_many(2, 600, {"gpu"});
  line.dispatcher.drop_stale(is_even);
  EXPECT_EQ(line.dispatcher.ready_count(), 750U);
  line.dispatcher.drop_stale([](const ReadyJob&) { return false; });
  EXPECT_EQ(line.dispatcher.ready_count(), 750U) << "they have not doubled since";
  line.add_many(3, 900, {"gpu"});
  line.dispatcher.drop_stale([](const ReadyJob&) { return false; });
  EXPECT_EQ(line.dispatcher.ready_count(), 0U);
  line.add(7, "a");
  EXPECT_EQ(line.take(9), Nodes{7});
}

TEST(Dispatcher, AgeCountsTheSetsOfLabelsThatTheWorkerHas) {
  Line line;
  for (NodeIndex set = 0; set < 50; ++set) line.add(9, "other", 0, {"l" + std::to_string(set)});
  line.add(1, "a", -100);
  Nodes taken;
  for (std::uint64_t given = 0; given <= kPassedOver; ++given) {
    line.add(2, "b", 5);
    for (const NodeIndex node : line.take(1)) taken.push_back(node);
  }
  EXPECT_EQ(std::count(taken.begin(), taken.end(), 1U), 1);
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

// Slots whose jobs end by chance, and projects that always have more: each gets of the time of the
// slots what its weight is of all weights, however few slots there are.
TEST(DispatcherWeights, SharesConvergeToTheWeights) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    const std::size_t slots = 1 + rng.below(12);
    const NodeIndex projects = 2 + static_cast<NodeIndex>(rng.below(3));
    Weights weights;
    double all = 0;
    for (NodeIndex project = 1; project <= projects; ++project)
      all += weights[std::to_string(project)] = 1 + static_cast<int>(rng.below(4));
    Line line;
    line.dispatcher = Dispatcher(weights);
    std::vector<std::string> at_work;
    std::map<std::string, double> time;
    constexpr int kGiven = 3'000;
    constexpr int kSettled = 300;
    for (int given = 0; given < kGiven; ++given) {
      for (NodeIndex project = 1; project <= projects; ++project)
        line.add(project * 1000, std::to_string(project));
      if (at_work.size() == slots) {
        std::swap(at_work[rng.below(slots)], at_work.back());
        line.dispatcher.ended({at_work.back(), "", {}});
        at_work.pop_back();
      }
      at_work.push_back(std::to_string(line.take(1).at(0) / 1000));
      line.dispatcher.began({at_work.back(), "", {}});
      if (given < kSettled) continue;
      for (const std::string& project : at_work) time[project] += 1;
    }
    double total = 0;
    for (const auto& [project, spent] : time) total += spent;
    for (const auto& [project, weight] : weights) {
      EXPECT_NEAR(time[project] / total, weight / all, 0.04)
          << "seed " << seed << ": project " << project << " of weight " << weight << ", " << slots
          << " slots";
    }
  }
}

TEST(DispatcherWeights, AProjectThatIsNotNamedWeighsOne) {
  Line line;
  line.dispatcher = Dispatcher({{"1", 3}});
  line.add_many(1, 900);
  line.add_many(2, 900);
  EXPECT_NEAR(line.serve(4, 400)[1], 300, 20);
}

TEST(DispatcherWeights, IdlenessEarnsNoCredit) {
  Line line;
  line.dispatcher = Dispatcher({{"2", 3}});
  line.add_many(1, 900);
  line.serve(1, 400);
  line.add_many(2, 400);
  EXPECT_NEAR(line.serve(1, 100)[2], 75, 8);
}

TEST(DispatcherWeights, TheLightestIsServedInBoundedTime) {
  Line line;
  line.dispatcher = Dispatcher({{"1", 1'000}});
  line.add_many(2, 1);
  line.add_many(1, 900);
  line.serve(1, 100);  // its turn is long over
  constexpr std::uint64_t kOlder = 3;
  while (line.dispatcher.ready_count() > kOlder) line.take(1);
  line.add_many(2, 1);
  line.add_many(1, 900);
  EXPECT_EQ(line.serve(1, static_cast<int>((kOlder + 1) * (kPassedOver + 1)))[2], 1);
}

TEST(Dispatcher, WhoIsAheadIsWhoIsGivenFirst) {
  Line line;
  line.worker.id = "w";
  line.dispatcher.add_worker(line.worker);
  line.add(1, "a");
  line.add(2, "a", 0, {"linux"});
  line.add(3, "a", 0, {"mac"});
  line.add(4, "b");
  line.add(5, "a");
  line.add(6, "b");
  line.add(7, "a", 9);
  line.add(8, "a", -1);
  const auto ahead = [&](const std::string& project, NodeIndex node, std::size_t max) {
    const auto jobs = line.dispatcher.ahead_of({{}, project, 0, {}}, Uuid{}, node, max);
    return jobs ? static_cast<int>(jobs->size()) : -1;
  };
  EXPECT_EQ(ahead("a", 5, 9), 4) << "7, 1, 2 and 4, but not 3, which waits for another worker";
  EXPECT_EQ(ahead("a", 5, 4), 4);
  EXPECT_EQ(ahead("a", 5, 3), -1);
  EXPECT_FALSE(line.dispatcher.yields({{}, "a", 0, {}}));
  line.dispatcher.began({"a", "w", {}});
  EXPECT_TRUE(line.dispatcher.yields({{}, "a", 0, {}}));
  EXPECT_FALSE(line.dispatcher.yields({{"mac"}, "a", 0, {}})) << "of workers that b cannot have";
  EXPECT_EQ(ahead("a", 5, 9), 5) << "6 too: its project has none";
}

constexpr Resources cpus(std::int64_t count) { return {.cpu_milli = count * 1000}; }

// Two workers of four processors each.
struct Machines {
  Machines() {
    for (const char* name : {"w1", "w2"}) {
      WorkerInfo worker;
      worker.id = worker.name = name;
      worker.resources = cpus(4);
      dispatcher.add_worker(worker);
    }
  }
  void add(NodeIndex node, std::int64_t wanted) {
    dispatcher.add({{}, "p", 0, cpus(wanted)}, Uuid{}, node);
  }
  // The node that `name` is given and starts; 0: none.
  NodeIndex take(const std::string& name) {
    WorkerInfo& worker = *dispatcher.find_worker(name);
    const auto job = dispatcher.take(worker, is_ready);
    if (!job) return 0;
    running[job->node] = {"p", name, wanted_of(job->node)};
    dispatcher.began(running[job->node]);
    return job->node;
  }
  void end(NodeIndex node) {
    dispatcher.ended(running.at(node));
    running.erase(node);
  }
  // Nodes from 100 on are large.
  static Resources wanted_of(NodeIndex node) { return cpus(node >= 100 ? 4 : 1); }

  Dispatcher dispatcher;
  Dispatcher::IsReady is_ready = kAll;
  std::map<NodeIndex, Dispatcher::Running> running;
};

TEST(DispatcherResources, AWorkerIsGivenNoMoreThanItHas) {
  Machines all;
  for (NodeIndex node = 1; node <= 9; ++node) all.add(node, 1);
  for (NodeIndex node = 1; node <= 4; ++node) EXPECT_EQ(all.take("w1"), node);
  EXPECT_EQ(all.take("w1"), 0U);
  EXPECT_EQ(all.dispatcher.in_use("w1"), cpus(4));
  EXPECT_EQ(all.take("w2"), 5U);
  all.end(2);
  EXPECT_EQ(all.take("w1"), 6U);
  EXPECT_EQ(all.take("w1"), 0U);
}

TEST(DispatcherResources, WhatNoWorkerHasIsInNobodysWay) {
  Machines all;
  all.add(1000, 5);
  for (NodeIndex node = 1; node <= 90; ++node) {
    all.add(node, 1);
    EXPECT_EQ(all.take("w1"), node);
    all.end(node);
  }
}

TEST(DispatcherResources, AWorkerThatToldNothingHasNoLimit) {
  Machines all;
  all.dispatcher.find_worker("w1")->resources = {};
  all.add(1000, 5);
  EXPECT_EQ(all.take("w1"), 1000U);
}

TEST(DispatcherResources, ALargeJobGetsAWorkerThoughSmallOnesNeverEnd) {
  Machines all;
  NodeIndex next = 1;
  const auto refill = [&] {
    while (all.dispatcher.ready_count() < 10) all.add(next++, 1);
  };
  for (refill(); all.running.size() < 8;) all.take(all.running.size() < 4 ? "w1" : "w2");
  all.add(1000, 4);
  bool given = false;
  int kept = 0;
  for (int round = 0; round < 500 && !given; ++round) {
    const NodeIndex ends = all.running.begin()->first;  // the oldest
    const std::string worker = all.running.at(ends).worker;
    all.end(ends);
    refill();
    const NodeIndex began = all.take(worker);
    given = began == 1000;
    if (began == 0) ++kept;
  }
  EXPECT_TRUE(given);
  EXPECT_LE(kept, 4);  // one worker alone was kept free
}

TEST(DispatcherResources, WhatWasCancelledKeepsNoWorker) {
  Machines all;
  all.add(1, 1);
  ASSERT_EQ(all.take("w1"), 1U);
  all.add(1000, 4);
  all.is_ready = [](const ReadyJob& job) { return job.node < 1000; };
  for (NodeIndex node = 2; node <= 90; ++node) {
    all.add(node, 1);
    ASSERT_EQ(all.take("w1"), node);
    all.end(node);
  }
  EXPECT_EQ(all.dispatcher.ready_count(), 0U);
}

TEST(DispatcherResources, WhoWasKeptIsOfferedAgainWhenAnotherTookTheJob) {
  Machines all;
  all.add(1, 1);
  ASSERT_EQ(all.take("w1"), 1U);
  all.add(1000, 4);
  NodeIndex node = 2;
  for (all.add(node, 1); all.take("w1") != 0; all.add(++node, 1)) all.end(node);
  (void)all.dispatcher.take_change();
  ASSERT_EQ(all.take("w2"), 1000U);
  EXPECT_TRUE(all.dispatcher.take_change());
  EXPECT_EQ(all.take("w1"), node);
}

TEST(DispatcherResources, AKeeperThatHasBecomeSmallKeepsNobodyElseFromIt) {
  Machines all;
  for (const NodeIndex node : {1U, 2U}) {
    all.add(node, 1);
    ASSERT_EQ(all.take(node == 1 ? "w1" : "w2"), node);
  }
  all.add(1000, 4);
  NodeIndex node = 2;
  const auto is_kept = [&](const std::string& worker) {
    for (const NodeIndex end = node + 90; node < end;) {
      all.add(++node, 1);
      const NodeIndex given = all.take(worker);
      if (given == 0) return true;
      all.end(given);
    }
    return false;
  };
  ASSERT_TRUE(is_kept("w1"));
  EXPECT_FALSE(is_kept("w2"));
  all.dispatcher.find_worker("w1")->resources = cpus(2);
  EXPECT_TRUE(is_kept("w2"));
}

TEST(DispatcherResources, AKeeperThatIsGoneKeepsNobodyElseFromIt) {
  Machines all;
  for (NodeIndex node = 1; node <= 8; ++node) {
    all.add(node, 1);
    all.take(node <= 4 ? "w1" : "w2");
  }
  all.add(1000, 4);
  const auto keep_one_slot_busy = [&](const std::string& worker, NodeIndex ends) {
    NodeIndex node = 10;
    for (all.end(ends);; all.end(node++)) {
      all.add(node, 1);
      if (all.take(worker) == 0 || node > 90) return node <= 90;
    }
  };
  ASSERT_TRUE(keep_one_slot_busy("w1", 1));
  all.dispatcher.drop_worker("w1");
  EXPECT_TRUE(keep_one_slot_busy("w2", 5));
}
}  // namespace
}  // namespace mc::conductor
