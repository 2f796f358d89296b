// What schedules do over time: overlaps, missed fires, jitter. No worker is needed: runs wait.
#include "conductor/schedules.h"

#include <map>

#include "conductor/core_rig_test.h"
#include "db/shard.h"

namespace mc::conductor {
namespace {

using namespace std::chrono_literals;

class SchedulesTest : public CoreRig {
 protected:
  // Ten minutes to the hour, and no fire in the next 9:59.
  SchedulesTest() { now = Instant{1'699'999'800'000}; }

  // Every ten minutes a run that takes `lasts`.
  void schedule(const std::string& options, const std::string& lasts) {
    boot();
    pass(0ms);
    put("w", "on: {schedule: [{cron: \"*/10 * * * *\"" + options +
                 "}]}\njobs: {w: {wait: " + lasts + "}}\n");
  }
  std::map<RunStatus, int> runs() {
    std::map<RunStatus, int> counts;
    const auto rows = store.list_runs({.project = "default", .limit = 1000});
    for (const db::RunRow& row : *rows) ++counts[row.status];
    return counts;
  }
  int all_runs() {
    int all = 0;
    for (const auto& [status, count] : runs()) all += count;
    return all;
  }
  void miss(Millis time) {
    now = now + time;
    boot();
    pass(0ms);
  }
};

TEST_F(SchedulesTest, SkipLeavesOutWhatWouldOverlap) {
  schedule(", overlap: skip", "25m");
  pass(60min);
  EXPECT_EQ(all_runs(), 2);
}

TEST_F(SchedulesTest, AnotherShardsConductorFiresNone) {
  schedule(", overlap: queue_all, catch_up: all", "1s");
  shards = 8;
  shard = (db::shard_of("default", shards) + 1) % shards;
  miss(60min);
  pass(60min);
  EXPECT_EQ(all_runs(), 0);
  shard = db::shard_of("default", shards);
  miss(1min);
  pass(5min);
  EXPECT_EQ(all_runs(), 12) << "all that were missed, by the one that fires them";
}

TEST_F(SchedulesTest, ARunThatIsOverAtOnceHoldsNothingUp) {
  schedule(", overlap: skip", "25m, if: \"${{ false }}\"");
  pass(60min);
  EXPECT_EQ(all_runs(), 6);
}

TEST_F(SchedulesTest, QueueOneKeepsOneFireForLater) {
  schedule(", overlap: queue_one", "25m");
  pass(60min);
  // At 10, at 35 for those at 20 and 30, at 60 for those at 40 and 50.
  EXPECT_EQ(all_runs(), 3);
}

TEST_F(SchedulesTest, QueueAllMakesUpForEach) {
  schedule(", overlap: queue_all", "25m");
  pass(60min);
  pass(120min);
  const auto counts = runs();
  EXPECT_GE(all_runs(), 7);
  EXPECT_LE(counts.contains(RunStatus::waiting) ? counts.at(RunStatus::waiting) : 0, 1);
}

TEST_F(SchedulesTest, CancelRunningReplacesTheOpenRun) {
  schedule(", overlap: cancel_running", "25m");
  pass(60min);
  EXPECT_EQ(all_runs(), 6);
  EXPECT_EQ(runs()[RunStatus::cancelled], 5);
}

TEST_F(SchedulesTest, MissedFiresAreMadeUpForAsAsked) {
  schedule(", overlap: queue_all, catch_up: all", "1s");
  miss(60min);
  pass(5min);
  EXPECT_EQ(all_runs(), 6);
}

TEST_F(SchedulesTest, NoMissedFireIsMadeUpForWithNone) {
  schedule(", catch_up: none", "1s");
  miss(60min);
  pass(1min);
  EXPECT_EQ(all_runs(), 0);
}

TEST_F(SchedulesTest, OnlyTheWindowIsMadeUpFor) {
  schedule(", overlap: queue_all, catch_up: all, catch_up_window: 25m", "1s");
  miss(60min);
  pass(5min);
  EXPECT_EQ(all_runs(), 3) << "those at 40, 50 and 60";
}

TEST_F(SchedulesTest, TheLastOfVeryManyIsTheNewest) {
  schedule(", catch_up: last", "1s");
  const Instant missed = now;
  miss(24h * 30);
  pass(1min);
  ASSERT_EQ(all_runs(), 1);
  const auto rows = store.list_runs({.project = "default"});
  EXPECT_NE(rows->front().json.find(to_rfc3339(missed + 24h * 30)), std::string::npos)
      << rows->front().json;
}

TEST_F(SchedulesTest, AFireThatJitterMovedIsNotLostByARestart) {
  schedule(", jitter: 9m", "1s");
  pass(10min);  // the fire at ten is planned for up to 19
  const int before = all_runs();
  miss(9min + 59s);
  pass(1s);
  EXPECT_EQ(all_runs(), 1) << before << " before the restart";
}

}  // namespace
}  // namespace mc::conductor
