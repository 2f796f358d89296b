#include "sim/database.h"

#include <gtest/gtest.h>

#include "db/postgres/tenure.h"
#include "sim/store_client.h"

namespace mc::sim {
namespace {
constexpr Instant kBegin{1'767'225'600'000};
constexpr Millis kTime = db::Tenure::kTime;

class DatabaseTest : public testing::Test {
 protected:
  void run_until(Millis after) {
    const Instant until = timeline_.now() + after;
    bool there = false;
    timeline_.at(until, [&there] { there = true; });
    while (!there) timeline_.step();
  }
  // One record: a batch that nothing guards.
  static db::Batch batch() {
    db::Batch out;
    out.records.push_back({"kind", "key", "{}", std::nullopt});
    return out;
  }
  bool is_stored() { return database_.disk().get_record("kind", "key")->has_value(); }
  Status commit(StoreClient& client, Millis patience) {
    std::optional<Status> result;
    const db::Batch what = batch();
    client.commit(what, Millis(1), [&result](const Status& status) { result = status; });
    run_until(patience);
    EXPECT_TRUE(result);
    return result.value_or(Status());
  }
  StoreClient client_of(const std::string& holder, std::int64_t epoch) {
    return {timeline_,
            database_,
            holder,
            {epoch, holder},
            [this](Millis delay, std::function<void()> action) {
              timeline_.after(delay, std::move(action));
            },
            7};
  }

  Timeline timeline_{kBegin};
  Faults faults_;
  ClusterFaults cluster_;
  conductor::Options options_;
  Checker checker_{timeline_, options_, nullptr};
  Database database_{timeline_, faults_, cluster_, checker_, 1};
};

TEST_F(DatabaseTest, TheLeaseIsTakenWhenItLapsedOrWasGivenBackAndTheEpochGrows) {
  EXPECT_TRUE(database_.claim("a", "r1", "r1", kTime).mine);
  EXPECT_FALSE(database_.claim("b", "r2", "r2", kTime).mine);
  run_until(kTime + Millis(1));
  const db::ShardLease taken = database_.claim("b", "r2", "r2", kTime);
  EXPECT_TRUE(taken.mine);
  EXPECT_EQ(taken.epoch, 2);
  database_.release("a");
  EXPECT_FALSE(database_.claim("a", "r1", "r1", kTime).mine);
  database_.release("b");
  EXPECT_EQ(database_.claim("a", "r1", "r1", kTime).epoch, 3);
}

TEST_F(DatabaseTest, ACommitUnderAnEarlierEpochIsRefused) {
  database_.claim("a", "a", "a", kTime);
  run_until(kTime + Millis(1));
  database_.claim("b", "b", "b", kTime);
  StoreClient old = client_of("a", 1), current = client_of("b", 2);
  EXPECT_FALSE(commit(old, Millis(100)));
  EXPECT_FALSE(is_stored());
  EXPECT_TRUE(commit(current, Millis(100)));
  EXPECT_TRUE(is_stored());
  EXPECT_EQ(checker_.violation(), "");
}

TEST_F(DatabaseTest, ACommitWhoseAnswerIsLostIsReportedAsMade) {
  database_.claim("a", "a", "a", kTime);
  StoreClient client = client_of("a", 1);
  std::optional<Status> result;
  const db::Batch what = batch();
  client.commit(what, Millis(1), [&result](const Status& status) { result = status; });
  while (!is_stored()) timeline_.step();
  database_.restart();
  run_until(Millis(1'000));
  ASSERT_TRUE(result);
  EXPECT_TRUE(*result);
  EXPECT_EQ(database_.commits(), 1);
}

TEST_F(DatabaseTest, ACommitIsMadeOnceTheDatabaseIsBackAndFailsWhenItStaysAway) {
  database_.claim("a", "a", "a", kTime);
  StoreClient client = client_of("a", 1);
  database_.go_away(Millis(5'000));
  EXPECT_TRUE(commit(client, Millis(10'000)));
  database_.go_away(Millis(60'000));
  EXPECT_EQ(commit(client, Millis(40'000)).error().code, Code::store_failed);
}

TEST_F(DatabaseTest, WhatIsCutOffFailsWhenThePatienceIsOver) {
  database_.cut("a");
  EXPECT_FALSE(database_.answers("a"));
  bool carried_out = false;
  std::optional<bool> answered;
  database_.send(
      "a", Millis(0), Millis(2'000), [&] { carried_out = true; },
      [&](bool there) { answered = there; });
  run_until(Millis(1'999));
  EXPECT_FALSE(answered);
  run_until(Millis(2));
  EXPECT_EQ(answered, false);
  EXPECT_FALSE(carried_out);
}

// The client does not know: the statement is carried out all the same.
TEST_F(DatabaseTest, AStallOutlastsTheClientsPatience) {
  database_.stall(Millis(5'000));
  bool carried_out = false;
  std::optional<bool> answered;
  database_.send(
      "a", Millis(0), Millis(2'000), [&] { carried_out = true; },
      [&](bool there) { answered = there; });
  run_until(Millis(3'000));
  EXPECT_EQ(answered, false);
  EXPECT_FALSE(carried_out);
  run_until(Millis(3'000));
  EXPECT_TRUE(carried_out);
}

}  // namespace
}  // namespace mc::sim
