// Whose turn it is when several shards have jobs for a worker.
#include <deque>
#include <map>

#include "cluster/rig_test.h"

namespace mc::cluster {
namespace {
using Names = std::vector<std::string>;
using Job = FakeShards::Job;

// A worker with so many slots, whose jobs end in the order they began.
struct Slots : PollsRig {
  explicit Slots(int shards_count, std::size_t slots_count = 1)
      : PollsRig(shards_count), slots(slots_count) {
    shards.at_once = true;
    shards.add_worker("w");
  }
  void add(int shard, const std::string& project, int count, int priority = 0) {
    for (int i = 0; i < count; ++i)
      shards.at(shard).jobs.push_back(
          {project + std::to_string(priority) + "." + std::to_string(++last), "", priority,
           project});
  }
  // Gives `count` jobs, one at a time; by project.
  std::map<std::string, int> serve(int count, Millis pause = Millis(10)) {
    std::map<std::string, int> given;
    for (; count > 0; --count) {
      if (running.size() == slots) {
        for (auto& shard : shards.shards) {
          const auto job = shard.running.find(running.front());
          if (job != shard.running.end() && job->second > 0) --job->second;
        }
        running.pop_front();
      }
      clock.at = clock.at + pause;
      const auto ended = poll("w", 1, Millis(0));
      if (ended->tasks.empty()) break;
      const std::string project = ended->tasks[0].substr(0, 1);
      ++given[project];
      running.push_back(project);
    }
    return given;
  }
  std::size_t slots;
  std::deque<std::string> running;
  int last = 0;
};

TEST(PollsTurns, TheHighestPriorityGoesFirstWhereverItIs) {
  Slots rig(3);
  rig.add(0, "a", 2);
  rig.add(1, "b", 2, 10);
  rig.add(2, "c", 1, 20);
  rig.add(2, "c", 1, -5);
  Names order;
  for (int i = 0; i < 6; ++i) order.push_back(rig.poll("w")->tasks.at(0).substr(0, 3));
  EXPECT_EQ(order, (Names{"c20", "b10", "b10", "a0.", "a0.", "c-5"}));
}

TEST(PollsTurns, ProjectsOfSeveralShardsShareByTheirWeights) {
  for (const std::size_t slots : {1U, 3U, 8U, 20U}) {
    Slots rig(3, slots);
    rig.shards.weights = {{"a", 3}, {"b", 1}, {"c", 1}};
    for (int i = 0; i < 3; ++i) rig.add(i, std::string(1, static_cast<char>('a' + i)), 1'000);
    auto given = rig.serve(500);
    EXPECT_NEAR(given["a"], 300, 12) << slots;
    EXPECT_NEAR(given["b"], 100, 8) << slots;
    EXPECT_NEAR(given["c"], 100, 8) << slots;
  }
}

TEST(PollsTurns, AProjectThatWasAloneOwesNothingForIt) {
  Slots rig(2);
  rig.add(0, "a", 1'000);
  EXPECT_EQ(rig.serve(300)["a"], 300);
  rig.add(1, "b", 1'000);
  rig.ready(1, true);
  auto given = rig.serve(100);
  EXPECT_NEAR(given["a"], 50, 2);
}

TEST(PollsTurns, NobodyStarves) {
  Slots rig(3);
  rig.add(0, "a", 1'000, 10);
  rig.add(1, "b", 1'000, 10);
  rig.add(2, "c", 20, -10);
  auto given = rig.serve(500);
  EXPECT_GE(given["c"], 9);
  EXPECT_LE(given["c"], 11) << "by age alone, which is seldom";
}

TEST(PollsTurns, WhoMayHaveManyIsGivenThemByTheSameRules) {
  Slots rig(3);
  rig.shards.weights = {{"a", 3}};
  rig.add(0, "a", 100);
  rig.add(1, "b", 100);
  rig.add(2, "c", 5, 10);
  rig.add(2, "c", 100, -5);
  std::map<std::string, int> given;
  const auto poll = rig.poll("w", 45);
  for (const std::string& job : poll->tasks) ++given[job.substr(0, 3)];
  EXPECT_EQ(given, (std::map<std::string, int>{{"a0.", 30}, {"b0.", 10}, {"c10", 5}}));
}

TEST(PollsTurns, AShardStopsWhereAnotherHasAHigherPriority) {
  Slots rig(2);
  rig.add(0, "a", 1, 10);
  rig.add(0, "a", 50);
  rig.add(1, "b", 50, 10);
  int low = 0;
  const auto poll = rig.poll("w", 16);
  for (const std::string& job : poll->tasks) low += job.starts_with("a0") ? 1 : 0;
  EXPECT_EQ(poll->tasks.size(), 16U);
  EXPECT_EQ(low, 0);
}

TEST(PollsTurns, AShardThatHasOnlyLowerJobsThanItSaidComesAfterTheOthers) {
  Slots rig(3);
  rig.add(0, "a", 2, 10);
  rig.add(0, "a", 1, 3);
  rig.add(1, "b", 1, 5);
  const auto next = [&] {
    const auto poll = rig.poll("w", 1, Millis(0));
    return poll->tasks.empty() ? "" : poll->tasks[0].substr(0, 3);
  };
  EXPECT_EQ(next(), "a10");
  // The other one goes elsewhere, of which nobody hears.
  std::erase_if(rig.shards.at(0).jobs, [](const Job& job) { return job.priority == 10; });
  EXPECT_EQ(next(), "b5.");
  EXPECT_EQ(next(), "a3.");
}

TEST(PollsTurns, WhoIsPassedOverIsSoByJobsNotByCalls) {
  Slots rig(2);
  rig.add(0, "a", 1'000, 10);
  rig.add(1, "b", 100, -10);
  int low = 0;
  for (int i = 0; i < 25; ++i) {
    rig.clock.at = rig.clock.at + Millis(10);
    const auto poll = rig.poll("w", 20);
    for (const std::string& job : poll->tasks) low += job.starts_with('b') ? 1 : 0;
  }
  EXPECT_GE(low, 10);
  EXPECT_LE(low, 30);
}

// Both shards have jobs that take all of the worker: after one nothing fits beside it.
TEST(PollsTurns, ThatNothingFitsBesideAJobHidesNoneOnceItHasEnded) {
  Slots rig(2);
  rig.add(0, "a", 10, 10);
  rig.add(1, "b", 10);
  rig.shards.at(0).says_none_after = true;
  for (int i = 0; i < 5; ++i) {
    const auto ended = std::make_shared<PollsRig::Ended>();
    PollWish wish = rig.wish("w", 1, Millis(0), ended);
    wish.is_counted = true;
    ASSERT_TRUE(rig.polls->add(std::move(wish)));
    ASSERT_EQ(ended->tasks.size(), 1U);
    EXPECT_TRUE(ended->tasks[0].starts_with('a')) << i;
  }
}

TEST(PollsTurns, AShardWhoseTaskHasJustEndedMayHaveTheNext) {
  Slots rig(3);
  rig.add(0, "a", 1);
  rig.add(1, "b", 5, -5);
  EXPECT_TRUE(rig.poll("w", 1, Millis(0))->tasks.at(0).starts_with('a'));
  // What it ended made another ready, of which nobody was told yet.
  rig.add(0, "a", 1);
  const auto ended = std::make_shared<PollsRig::Ended>();
  PollWish wish = rig.wish("w", 1, Millis(0), ended);
  wish.ended = {true, false, false};
  ASSERT_TRUE(rig.polls->add(std::move(wish)));
  EXPECT_TRUE(ended->tasks.at(0).starts_with('a'));
}

TEST(PollsTurns, AShardThatTakesLongToSayWhatItHasComesLast) {
  Slots rig(3);
  rig.shards.at_once = false;
  rig.shards.add_worker("v");
  rig.add(0, "a", 5, 10);
  rig.add(1, "b", 5);
  rig.add(2, "c", 5);
  const auto stuck = rig.poll("w");  // looks at shard 0, which does not answer
  ASSERT_EQ(rig.shards.pending.size(), 1U);
  ASSERT_EQ(rig.shards.pending[0].shard, 0);
  rig.pass(rig.options.looks_max);
  const auto other = rig.poll("v");
  while (rig.shards.pending.size() > 1) rig.shards.deliver(1);
  EXPECT_EQ(other->tasks.size(), 1U) << "nobody waits for it";
  rig.deliver_all();
  EXPECT_EQ(stuck->tasks.size(), 1U);
}

TEST(PollsTurns, WorkersWithResourcesLookNoMoreOftenThanOthers) {
  Slots rig(4);
  for (int i = 0; i < 4; ++i) rig.add(i, "a", 100);
  for (int i = 0; i < 3; ++i) {
    const auto ended = std::make_shared<PollsRig::Ended>();
    PollWish wish = rig.wish("w", 8, Millis(0), ended);
    wish.is_counted = true;
    wish.kind = "worker w\n" + std::to_string(i);
    ASSERT_TRUE(rig.polls->add(std::move(wish)));
    EXPECT_EQ(ended->tasks.size(), 8U) << "tasks that take nothing";
  }
  EXPECT_EQ(rig.shards.calls, 4 + 3 * 4) << "each says what it has once";
}

TEST(PollsTurns, APollWhoseWorkerWasGivenTasksOtherwiseGoesOnNowhere) {
  Slots rig(2);
  rig.shards.at_once = false;
  rig.add(0, "a", 5);
  rig.add(1, "b", 5);
  const auto poll = rig.poll("w", 1);
  rig.polls->end_polls_of("w");
  rig.deliver_all();
  EXPECT_TRUE(poll->is_over);
  EXPECT_TRUE(poll->tasks.empty());
}

TEST(PollsTurns, NothingIsSaidOfDrainingOnceItIsStopped) {
  Slots rig(2);
  rig.shards.at_once = false;
  for (auto& shard : rig.shards.shards) shard.draining.insert("w");
  const auto poll = rig.poll("w");
  rig.polls->stop();
  rig.deliver_all();
  EXPECT_TRUE(poll->is_over);
  EXPECT_TRUE(rig.draining.empty());
}

TEST(PollsTurns, LooksAreNotRepeatedForAWhile) {
  Slots rig(4);
  for (int i = 0; i < 4; ++i) rig.add(i, "a", 100);
  rig.serve(1);
  EXPECT_EQ(rig.shards.calls, 5) << "each says what it has, and one gives";
  rig.serve(1);
  EXPECT_EQ(rig.shards.calls, 6);
  rig.serve(1, rig.options.offers_good);
  EXPECT_EQ(rig.shards.calls, 11);
}

TEST(PollsTurns, AShardThatDoesNotSayWhatItHasHasItsTurns) {
  Slots rig(2);
  rig.shards.at(0).says_next = false;
  rig.add(0, "a", 100);
  rig.add(1, "b", 100);
  auto given = rig.serve(60, rig.options.offers_good);
  EXPECT_GT(given["a"], 20);
  EXPECT_GT(given["b"], 20);
  rig.shards.at(0).jobs.clear();
  EXPECT_EQ(rig.serve(20)["b"], 20);
}

TEST(PollsTurns, AShardThatIsAwayHoldsUpNobody) {
  Slots rig(3);
  rig.add(0, "a", 10);
  rig.add(1, "b", 10);
  rig.shards.at(0).is_away = true;
  EXPECT_EQ(rig.serve(10)["b"], 10);
}

TEST(PollsTurns, WhatIsSaidOfDrainingIsPassedOn) {
  Slots rig(2);
  for (auto& shard : rig.shards.shards) shard.draining.insert("w");
  rig.add(0, "a", 10);
  EXPECT_TRUE(rig.poll("w", 1, Millis(0))->tasks.empty());
  EXPECT_EQ(rig.draining, std::set<std::string>{"w"});
  for (auto& shard : rig.shards.shards) shard.draining.clear();
  const auto ended = std::make_shared<PollsRig::Ended>();
  PollWish wish = rig.wish("w", 1, Millis(0), ended);
  wish.drains = true;
  EXPECT_TRUE(rig.polls->add(std::move(wish)));
  EXPECT_EQ(ended->tasks.size(), 1U);
  EXPECT_TRUE(rig.draining.empty());
}

}  // namespace
}  // namespace mc::cluster
