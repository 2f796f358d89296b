#include "db/postgres/commit_course.h"

#include <gtest/gtest.h>

namespace mc::db {
namespace {
using Step = CommitCourse::Step;
using Written = CommitCourse::Written;

const Error kFailed{Code::store_failed, "no", {}};

void lose_once(CommitCourse& course) {
  course.connected({});
  if (course.next() == Step::look_up) course.looked_up(false);
  ASSERT_EQ(course.next(), Step::write);
  course.written(Written::lost, kFailed);
  ASSERT_EQ(course.next(), Step::pause);
}

TEST(CommitCourse, WritesWithoutLookingFirst) {
  CommitCourse course;
  ASSERT_EQ(course.next(), Step::connect);
  course.connected({});
  ASSERT_EQ(course.next(), Step::write);
  course.written(Written::made, {});
  ASSERT_EQ(course.next(), Step::end);
  EXPECT_TRUE(course.result());
}

TEST(CommitCourse, ALostAnswerIsLookedUpAndReported) {
  CommitCourse course;
  lose_once(course);
  course.paused(true);
  course.connected({});
  ASSERT_EQ(course.next(), Step::look_up);
  course.looked_up(true);
  ASSERT_EQ(course.next(), Step::end);
  EXPECT_TRUE(course.result());
  EXPECT_FALSE(course.in_doubt());
}

TEST(CommitCourse, WhatWasNotMadeIsMadeAnewThreeTimesAtMost) {
  CommitCourse course;
  for (int i = 0; i < 3; ++i) {
    lose_once(course);
    course.paused(true);
  }
  course.connected({});
  ASSERT_EQ(course.next(), Step::look_up);
  course.looked_up(false);
  ASSERT_EQ(course.next(), Step::end);
  EXPECT_EQ(course.result().error().code, Code::store_failed);
  EXPECT_TRUE(course.in_doubt());  // the server may be slow
}

TEST(CommitCourse, TheLastLookMayFindItMadeAfterTheTimeIsOver) {
  CommitCourse course;
  lose_once(course);
  course.paused(false);
  ASSERT_EQ(course.next(), Step::connect);
  course.connected({});
  course.looked_up(true);
  ASSERT_EQ(course.next(), Step::end);
  EXPECT_TRUE(course.result());
  EXPECT_FALSE(course.in_doubt());
}

TEST(CommitCourse, ADatabaseThatIsAwayIsTriedUntilTheTimeIsOver) {
  CommitCourse course;
  for (int i = 0; i < 20; ++i) {
    course.connected(kFailed);
    ASSERT_EQ(course.next(), Step::pause);
    course.paused(true);
  }
  course.connected(kFailed);
  course.paused(false);
  ASSERT_EQ(course.next(), Step::end);
  EXPECT_EQ(course.result().error().message, "no");
  EXPECT_FALSE(course.in_doubt());  // nothing was sent
}

TEST(CommitCourse, ARefusalEndsItAndWaitingDoesOnlyAtTheFirstAttempt) {
  CommitCourse refused;
  refused.connected({});
  refused.written(Written::refused, {Code::conflict, "changed", {}});
  ASSERT_EQ(refused.next(), Step::end);
  EXPECT_EQ(refused.result().error().code, Code::conflict);
  EXPECT_FALSE(refused.in_doubt());
  CommitCourse waiting;
  waiting.connected({});
  waiting.written(Written::waiting, kFailed);
  EXPECT_EQ(waiting.next(), Step::end);
  CommitCourse behind_itself;
  lose_once(behind_itself);
  behind_itself.paused(true);
  behind_itself.connected({});
  behind_itself.looked_up(false);
  behind_itself.written(Written::waiting, kFailed);
  EXPECT_EQ(behind_itself.next(), Step::pause);
}

TEST(CommitCourse, AfterALostAnswerARefusalMayBeOfWhatItMade) {
  CommitCourse course;
  lose_once(course);
  course.paused(true);
  course.connected({});
  course.looked_up(false);
  course.written(Written::refused, {Code::conflict, "changed", {}});
  ASSERT_EQ(course.next(), Step::end);
  EXPECT_TRUE(course.in_doubt());
}

TEST(CommitCourse, DeadlocksAreTriedAgainFiveTimes) {
  CommitCourse course;
  int writes = 0;
  while (course.next() != Step::end) {
    course.connected({});
    ++writes;
    course.written(Written::deadlock, kFailed);
    if (course.next() == Step::pause) course.paused(true);
  }
  EXPECT_EQ(writes, 6);
}

}  // namespace
}  // namespace mc::db
