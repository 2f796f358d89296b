#include "db/postgres/tenure.h"

#include <gtest/gtest.h>

namespace mc::db {
namespace {

Tenure::Moment at(std::int64_t ms) { return Tenure::Moment(Millis(ms)); }

ShardLease mine(int shard, std::int64_t epoch) {
  return {.shard = shard,
          .epoch = epoch,
          .holder = "h1",
          .name = "r1",
          .address = "r1:1",
          .mine = true};
}
ShardLease anothers(int shard, std::int64_t epoch) {
  return {.shard = shard,
          .epoch = epoch,
          .holder = "h2",
          .name = "r2",
          .address = "r2:1",
          .mine = false};
}
Cluster of(std::vector<ShardLease> shards) { return {std::move(shards), {}}; }

TEST(Tenure, BeginsForEachShardOnceItsLeaseIsItsOwn) {
  Tenure tenure;
  EXPECT_FALSE(tenure.leads(0, at(0)));
  tenure.answered(of({anothers(0, 4), mine(1, 7)}), at(0));
  EXPECT_FALSE(tenure.leads(0, at(0)));
  EXPECT_TRUE(tenure.leads(1, at(0)));
  tenure.answered(of({mine(0, 5), mine(1, 7)}), at(1'000));
  EXPECT_TRUE(tenure.leads(0, at(1'000)));
  EXPECT_EQ(tenure.held().size(), 2U);
  EXPECT_EQ(tenure.held().at(0).epoch, 5);
  EXPECT_FALSE(tenure.lost());
}

TEST(Tenure, LastsAsLongAsTheLeasesCountedFromBeforeItAsked) {
  Tenure tenure;
  tenure.answered(of({mine(0, 5)}), at(1'000));
  EXPECT_TRUE(tenure.leads(0, at(3'999)));
  EXPECT_FALSE(tenure.leads(0, at(4'000)));
  tenure.answered(of({mine(0, 5)}), at(2'000));
  EXPECT_TRUE(tenure.leads(0, at(4'999)));
  EXPECT_EQ(tenure.until(), at(5'000));
}

TEST(Tenure, IsLostWhenAnotherHasOneOfItsLeasesOrHadIt) {
  const std::vector<std::vector<ShardLease>> later = {
      {anothers(0, 6), mine(1, 7)},  // has it
      {mine(0, 7), mine(1, 7)},      // had it
      {mine(1, 7)},                  // the shard is gone
  };
  for (const auto& shards : later) {
    Tenure tenure;
    tenure.answered(of({mine(0, 5), mine(1, 7)}), at(0));
    tenure.answered(of(shards), at(1'000));
    EXPECT_TRUE(tenure.lost());
    EXPECT_FALSE(tenure.leads(0, at(1'000)));
    EXPECT_FALSE(tenure.leads(1, at(1'000)));
    EXPECT_TRUE(tenure.held().empty());
  }
}

TEST(Tenure, SurvivesSilenceUntilItsTimeIsOver) {
  Tenure tenure;
  tenure.missed(at(0));
  tenure.answered(of({mine(0, 5)}), at(0));
  tenure.missed(at(2'999));
  EXPECT_FALSE(tenure.lost());
  tenure.missed(at(3'000));
  EXPECT_TRUE(tenure.lost());
}

// There is nothing to be wrong about.
TEST(Tenure, OfNothingIsNotLostBySilence) {
  Tenure tenure;
  tenure.answered(of({anothers(0, 5)}), at(0));
  tenure.missed(at(60'000));
  EXPECT_FALSE(tenure.lost());
}

// Nobody else had it: the epoch says so.
TEST(Tenure, GoesOnAfterALateAnswerUnderTheSameEpoch) {
  Tenure tenure;
  tenure.answered(of({mine(0, 5)}), at(0));
  EXPECT_FALSE(tenure.leads(0, at(3'500)));
  tenure.answered(of({mine(0, 5)}), at(3'400));
  EXPECT_TRUE(tenure.leads(0, at(3'500)));
}

TEST(Tenure, EndsForAShardThatItGaveAndGoesOnForTheOthers) {
  Tenure tenure;
  tenure.answered(of({mine(0, 5), mine(1, 7)}), at(0));
  tenure.gave(0);
  tenure.gave(3);  // never was its own
  EXPECT_FALSE(tenure.leads(0, at(0)));
  EXPECT_TRUE(tenure.leads(1, at(0)));
  tenure.answered(of({anothers(0, 6), mine(1, 7)}), at(1'000));
  EXPECT_FALSE(tenure.lost());
  EXPECT_TRUE(tenure.leads(1, at(1'000)));
}

// It may have been renewed before it was given back, or could not be given back yet.
TEST(Tenure, DoesNotBeginAgainUnderALeaseThatItGave) {
  Tenure tenure;
  tenure.answered(of({mine(0, 5)}), at(0));
  tenure.gave(0);
  tenure.answered(of({mine(0, 5)}), at(1'000));
  EXPECT_FALSE(tenure.leads(0, at(1'000)));
  tenure.answered(of({mine(0, 6)}), at(2'000));  // given, and taken anew
  EXPECT_TRUE(tenure.leads(0, at(2'000)));
  EXPECT_EQ(tenure.held().at(0).epoch, 6);
}

}  // namespace
}  // namespace mc::db
