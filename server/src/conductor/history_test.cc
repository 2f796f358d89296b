// Medians over earlier runs, and how they add up to waits.
#include "conductor/history.h"

#include <gtest/gtest.h>

namespace mc::conductor {
namespace {
using Estimates = std::vector<Estimate>;

Estimate of(std::int64_t ms, std::size_t runs = 5) { return {Millis(ms), runs}; }

TEST(History, KnowsTheMedianOfTheNewestRuns) {
  History::Workflow workflow;
  EXPECT_EQ(workflow.whole(), std::nullopt) << "nothing is not zero";
  EXPECT_EQ(workflow.job("a"), std::nullopt);
  workflow.add(1, Millis(10));
  workflow.add(2, Millis(1'000));
  EXPECT_EQ(workflow.whole(), of(505, 2));
  workflow.add(3, Millis(20));
  EXPECT_EQ(workflow.whole(), of(20, 3));
  EXPECT_FALSE(workflow.add(3, Millis(9'999))) << "a run counts once";
  EXPECT_EQ(workflow.whole(), of(20, 3));
  for (std::int64_t number = 4; number < 100; ++number) workflow.add(number, Millis(7));
  EXPECT_EQ(workflow.whole(), of(7, History::kRunsMax));
}

TEST(History, ForgetsTheWorkflowThatWasAskedAboutTheLongestAgo) {
  History history;
  EXPECT_EQ(history.find("p", "first"), nullptr);
  history.open("p", "first").add(1, Millis(5));
  for (std::size_t i = 1; i < History::kWorkflowsMax; ++i)
    history.open("p", "w" + std::to_string(i));
  ASSERT_NE(history.find("p", "first"), nullptr);
  EXPECT_EQ(history.find("q", "first"), nullptr) << "another project's";
  history.open("p", "last");
  EXPECT_NE(history.find("p", "first"), nullptr);
  EXPECT_EQ(history.find("p", "w1"), nullptr);
}

TEST(Estimates, WhatIsLeftIsNeverLessThanNothing) {
  const Instant now{10'000};
  EXPECT_EQ(rest_of(of(3'000), {}, now), of(3'000)) << "it did not begin";
  EXPECT_EQ(rest_of(of(3'000), Instant{9'000}, now), of(2'000));
  EXPECT_EQ(rest_of(of(3'000), Instant{1'000}, now), of(0));
}

TEST(Estimates, RestOnTheFewestRuns) {
  EXPECT_EQ(of(10, 3) + of(20, 8), of(30, 3));
  EXPECT_EQ(later_of(of(10, 3), of(20, 8)), of(20, 3));
  EXPECT_EQ(later_of(of(10, 3), of(20, Estimate::kKnown)), of(20, 3));
}

TEST(Estimates, ThoseAheadTakeThePlacesThatAreFreeFirst) {
  EXPECT_EQ(wait_behind({}, Estimates{of(1)}), std::nullopt);
  EXPECT_EQ(wait_behind(Estimates{of(9), of(4)}, {}), of(4));
  EXPECT_EQ(wait_behind(Estimates{of(9), of(4)}, Estimates{of(3)}), of(7));
  EXPECT_EQ(wait_behind(Estimates{of(9), of(4)}, Estimates{of(30, 2)}), of(9));
  EXPECT_EQ(wait_behind(Estimates{of(9)}, Estimates{of(30, 2), of(1)}), of(40, 2));
}
}  // namespace
}  // namespace mc::conductor
