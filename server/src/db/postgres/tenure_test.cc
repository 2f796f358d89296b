#include "db/postgres/tenure.h"

#include <gtest/gtest.h>

namespace mc::db {
namespace {
using Role = Tenure::Role;

Tenure::Moment at(std::int64_t ms) { return Tenure::Moment(Millis(ms)); }

Leadership mine(std::int64_t epoch) {
  return {.holder = "h1", .name = "r1", .address = "r1:1", .epoch = epoch, .mine = true};
}
Leadership another(std::int64_t epoch) {
  return {.holder = "h1", .name = "r2", .address = "r2:1", .epoch = epoch, .mine = false};
}

TEST(Tenure, BeginsAsAFollowerAndLeadsOnceTheLeaseIsItsOwn) {
  Tenure tenure;
  EXPECT_EQ(tenure.role(), Role::follows);
  EXPECT_FALSE(tenure.leads(at(0)));
  EXPECT_EQ(tenure.answered(another(4), at(0)), Role::follows);
  EXPECT_EQ(tenure.answered(mine(5), at(1'000)), Role::leads);
  EXPECT_EQ(tenure.held().epoch, 5);
}

TEST(Tenure, LastsAsLongAsTheLeaseCountedFromBeforeItAsked) {
  Tenure tenure;
  tenure.answered(mine(5), at(1'000));
  EXPECT_TRUE(tenure.leads(at(3'999)));
  EXPECT_FALSE(tenure.leads(at(4'000)));
  tenure.answered(mine(5), at(2'000));
  EXPECT_TRUE(tenure.leads(at(4'999)));
  EXPECT_EQ(tenure.until(), at(5'000));
}

TEST(Tenure, IsLostWhenAnotherHasTheLeaseOrHadIt) {
  Tenure overtaken;
  overtaken.answered(mine(5), at(0));
  EXPECT_EQ(overtaken.answered(another(6), at(1'000)), Role::lost);
  EXPECT_FALSE(overtaken.leads(at(1'000)));
  Tenure returned;
  returned.answered(mine(5), at(0));
  EXPECT_EQ(returned.answered(mine(7), at(1'000)), Role::lost);
}

TEST(Tenure, SurvivesSilenceUntilItsTimeIsOver) {
  Tenure tenure;
  EXPECT_EQ(tenure.missed(at(0)), Role::follows);
  tenure.answered(mine(5), at(0));
  EXPECT_EQ(tenure.missed(at(2'999)), Role::leads);
  EXPECT_EQ(tenure.missed(at(3'000)), Role::lost);
}

// Nobody else had it: the epoch says so.
TEST(Tenure, GoesOnAfterALateAnswerUnderTheSameEpoch) {
  Tenure tenure;
  tenure.answered(mine(5), at(0));
  EXPECT_FALSE(tenure.leads(at(3'500)));
  EXPECT_EQ(tenure.answered(mine(5), at(3'400)), Role::leads);
  EXPECT_TRUE(tenure.leads(at(3'500)));
}

}  // namespace
}  // namespace mc::db
