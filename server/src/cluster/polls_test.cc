#include "cluster/polls.h"

#include "cluster/rig_test.h"

namespace mc::cluster {
namespace {
using Names = std::vector<std::string>;

TEST(Polls, TakesFromShardsInTurnAndNeverMoreThanItMay) {
  PollsRig rig(3);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  for (int i = 0; i < 4; ++i) {
    rig.add_job(0, "a" + std::to_string(i));
    rig.add_job(1, "b" + std::to_string(i));
  }
  EXPECT_EQ(rig.poll("w")->tasks, Names{"a0"});
  EXPECT_EQ(rig.poll("w")->tasks, Names{"b0"});
  // Shard 2 has its turn, has nothing, and is passed over from then on.
  EXPECT_EQ(rig.poll("w")->tasks, Names{"a1"});
  EXPECT_EQ(rig.poll("w")->tasks, Names{"b1"});
  EXPECT_EQ(rig.poll("w")->tasks, Names{"a2"});
  EXPECT_EQ(rig.count(2), 1u);
  EXPECT_EQ(rig.poll("w", 2)->tasks, (Names{"b2", "b3"}));
  rig.add_job(1, "b4");
  rig.ready(1, true);
  EXPECT_EQ(rig.poll("w", 5)->tasks, (Names{"a3", "b4"}));
}

TEST(Polls, WhoseTasksAreCountedIsGivenThoseOfOneShardAtATime) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  for (const char* job : {"a", "b"}) rig.add_job(0, job);
  rig.shards.at(0).jobs[0].weighs = true;
  rig.add_job(1, "c");
  const auto counted = [&] {
    const auto ended = std::make_shared<PollsRig::Ended>();
    PollWish wish = rig.wish("w", 5, Millis(0), ended);
    wish.is_counted = true;
    EXPECT_TRUE(rig.polls->add(std::move(wish)));
    return ended->tasks;
  };
  EXPECT_EQ(counted(), (Names{"a", "b"}));
  rig.add_job(0, "d");
  rig.ready(0, true);
  EXPECT_EQ(counted().size(), 2U) << "those that take nothing are given together";
}

TEST(Polls, EndWhenTheirWorkerWasGivenTasksOtherwise) {
  PollsRig rig(1);
  rig.shards.add_worker("w");
  const auto waits = rig.poll("w");
  rig.polls->end_polls_of("w");
  EXPECT_FALSE(waits->is_over) << "it is asked";
  rig.deliver_all();
  EXPECT_TRUE(waits->is_over);
  const auto other = rig.poll("w");
  rig.deliver_all();
  EXPECT_FALSE(other->is_over);
  rig.polls->end_polls_of("w");
  EXPECT_TRUE(other->is_over);
}

TEST(Polls, AsksAShardAgainThatGaveAsManyAsItGivesAtOnce) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  for (int i = 0; i < 600; ++i) rig.add_job(0, "j" + std::to_string(i));
  EXPECT_EQ(rig.poll("w", 1'000)->tasks.size(), 600u);
}

TEST(Polls, WaitsAndIsServedByTheShardThatHasNews) {
  PollsRig rig(3);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  const auto poll = rig.poll("w", 4);
  EXPECT_FALSE(poll->is_over);
  EXPECT_EQ(rig.shards.calls, 3);
  const Value body = FakeShards::body_of(rig.shards.seen[0].request);
  EXPECT_GT(body.int_or("parks_ms", 0), rig.options.keep_alive.count());
  rig.add_job(2, "j");
  rig.ready(2, true);
  EXPECT_EQ(poll->tasks, Names{"j"});
  EXPECT_EQ(rig.shards.calls, 4);
  EXPECT_TRUE(rig.told.empty()) << "nothing is left";
}

TEST(Polls, OneOfAKindIsEnoughToKnowThatThereIsNothing) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  std::vector<std::shared_ptr<PollsRig::Ended>> polls;
  for (int i = 0; i < 50; ++i) {
    const std::string worker = "w" + std::to_string(i);
    rig.shards.add_worker(worker, i % 2 == 0 ? "linux" : "mac");
    polls.push_back(rig.poll(worker));
  }
  rig.shards.calls = 0;
  for (const char* job : {"a", "b", "c"}) rig.add_job(1, job, "linux");
  rig.ready(1, true);
  // In the order they came: 0, 2 and 4 have one each, 1 finds nothing.
  EXPECT_EQ(rig.shards.calls, 4);
  EXPECT_EQ(polls[0]->tasks, Names{"a"});
  EXPECT_EQ(polls[2]->tasks, Names{"b"});
  EXPECT_EQ(polls[4]->tasks, Names{"c"});
  EXPECT_EQ(rig.polls->size(), 47u);
}

TEST(Polls, TellsOthersWhatFindsNobodyHereAndNotTooOften) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  rig.shards.add_worker("w", "linux");
  rig.add_job(0, "j", "mac");
  rig.ready(0, true);
  EXPECT_EQ(rig.told, std::vector<int>{0}) << "nobody waits";
  const auto poll = rig.poll("w", 4);
  rig.pass(Millis(1'000));
  rig.ready(0, true);
  EXPECT_EQ(rig.told, (std::vector<int>{0, 0})) << "nobody fits";
  rig.ready(0, true);
  rig.ready(0, true);
  EXPECT_EQ(rig.told.size(), 2u);
  rig.pass(rig.options.tell_every);
  EXPECT_EQ(rig.told.size(), 3u) << "what was put off is told once";
  rig.pass(Millis(1'000));
  rig.ready(0, false);
  EXPECT_EQ(rig.told.size(), 3u) << "another replica said so";
  rig.shards.at(1).is_here = false;
  rig.add_job(1, "k", "mac");
  rig.ready(1, true);
  EXPECT_EQ(rig.told.size(), 3u) << "it is led elsewhere by now";
}

TEST(Polls, ARoundWaitsForPollsThatAreAskedElsewhereButNotForLong) {
  PollsRig rig(2);
  rig.shards.add_worker("w", "linux");
  const auto poll = rig.poll("w");  // asked at shard 0
  rig.add_job(1, "j", "linux");
  rig.ready(1, true);
  EXPECT_TRUE(rig.told.empty()) << "it comes to shard 1 next";
  rig.pass(rig.options.round_max);
  EXPECT_EQ(rig.told, std::vector<int>{1});
  rig.deliver_all();
  EXPECT_EQ(poll->tasks, Names{"j"});
}

TEST(Polls, NothingIsGrantedToWhoIsGone) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  const auto poll = rig.poll("w", 1, Millis(20'000), gone);
  *gone = true;
  rig.add_job(1, "j");
  rig.ready(1, true);
  EXPECT_EQ(rig.polls->size(), 0u);
  EXPECT_EQ(rig.shards.at(1).jobs.size(), 1u);
  EXPECT_EQ(rig.told, std::vector<int>{1});
}

TEST(Polls, IsKeptAliveAtAllShardsAndEndsInTime) {
  PollOptions options;
  options.look_every = Millis(60'000);
  PollsRig rig(4, options);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  const auto poll = rig.poll("w", 1, Millis(12'000));
  EXPECT_EQ(rig.shards.calls, 4);
  rig.ready(1, false);  // does not put it off
  EXPECT_EQ(rig.shards.calls, 5);
  EXPECT_EQ(rig.wake, rig.clock.at + rig.options.keep_alive);
  rig.pass(rig.options.keep_alive);
  EXPECT_EQ(rig.shards.calls, 9);
  rig.pass(rig.options.keep_alive);
  EXPECT_EQ(rig.shards.calls, 13);
  EXPECT_FALSE(poll->is_over);
  rig.pass(Millis(2'000));
  EXPECT_TRUE(poll->is_over);
  EXPECT_TRUE(poll->tasks.empty());
  EXPECT_EQ(poll->status, 200);
}

TEST(Polls, ARefusalIsTheAnswerUnlessThereAreTasks) {
  PollsRig rig(3);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  rig.shards.at(1).workers.clear();
  EXPECT_EQ(rig.poll("w")->status, 404);
  rig.add_job(2, "j");
  rig.ready(2, true);
  EXPECT_EQ(rig.poll("w", 2)->status, 404);
  rig.shards.add_worker("w");
  rig.add_job(1, "k");
  rig.ready(1, true);
  rig.shards.answers[1] = [&](const http::Request& request) {
    const bool is_look = FakeShards::body_of(request).int_or("max", 1) == 0;
    http::Response look{.content_type = "application/json", .body = R"({"tasks":[]})"};
    look.headers.push_back({std::string(wire::kNextHeader), "-1 0 1 default"});
    return is_look ? look : http::problem({Code::worker_not_found, "who", {}}, "");
  };
  const auto poll = rig.poll("w", 2);
  EXPECT_EQ(poll->status, 200) << "shard 2 gave first";
  EXPECT_EQ(poll->tasks, Names{"j"});
}

TEST(Polls, LearnThatALeaderDoesNotKnowThemWhenItChanges) {
  PollsRig rig(3);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  rig.shards.add_worker("v");
  const auto one = rig.poll("w");
  const auto two = rig.poll("v");
  rig.shards.at(2).workers.erase("v");
  rig.shards_changed();
  EXPECT_FALSE(one->is_over);
  EXPECT_EQ(two->status, 404);
}

TEST(Polls, LearnItAlsoWhenTheyAreAskedElsewhereMeanwhile) {
  PollsRig rig(2);
  rig.shards.add_worker("v");
  rig.shards.add_worker("w");
  // One of the same kind finds out about jobs.
  rig.poll("v");
  rig.deliver_all();
  const auto poll = rig.poll("w");
  ASSERT_EQ(rig.shards.pending.size(), 1u);
  rig.shards.at(1 - rig.shards.pending[0].shard).workers.erase("w");
  rig.shards_changed();
  while (rig.shards.pending.size() > 1) rig.shards.deliver(1);
  rig.deliver_all();
  EXPECT_EQ(poll->status, 404);
}

TEST(Polls, AskAgainWhereARoundEndedWithoutThem) {
  PollsRig rig(2);
  rig.shards.add_worker("w");
  const auto poll = rig.poll("w");
  rig.shards.deliver(0);
  ASSERT_EQ(rig.count(1), 1u);
  rig.add_job(0, "j");
  rig.ready(0, true);
  rig.pass(rig.options.round_max);
  EXPECT_EQ(rig.told, std::vector<int>{0});
  rig.deliver_all();
  EXPECT_EQ(poll->tasks, Names{"j"});
}

TEST(Polls, AShardThatIsAwayHoldsUpNobody) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  rig.shards.at(0).is_away = true;
  rig.add_job(1, "a");
  rig.add_job(1, "b");
  EXPECT_EQ(rig.poll("w")->tasks, Names{"a"});
  EXPECT_EQ(rig.poll("w")->tasks, Names{"b"});
  EXPECT_EQ(rig.count(0), 1u) << "asked once, then left alone for a while";
  const auto poll = rig.poll("w");
  rig.shards.at(0).is_away = false;
  rig.add_job(0, "c");
  EXPECT_FALSE(poll->is_over);
  rig.shards_changed();
  EXPECT_EQ(poll->tasks, Names{"c"});
}

TEST(Polls, WhenAllShardsAreAwayThatIsTheAnswer) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  for (int shard = 0; shard < 2; ++shard) rig.shards.at(shard).is_away = true;
  EXPECT_EQ(rig.poll("w")->status, 503);
  EXPECT_EQ(rig.poll("w")->status, 503);
}

TEST(Polls, WhatIsKnownToBeEmptyIsAskedAgainAfterAWhile) {
  PollsRig rig(3);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  EXPECT_TRUE(rig.poll("w", 1, Millis(0))->is_over);
  EXPECT_EQ(rig.shards.calls, 3);
  EXPECT_TRUE(rig.poll("w", 1, Millis(0))->is_over);
  EXPECT_EQ(rig.shards.calls, 4) << "one, for the token's sake";
  rig.clock.at = rig.clock.at + rig.options.keep_alive;
  EXPECT_TRUE(rig.poll("w", 1, Millis(0))->is_over);
  EXPECT_EQ(rig.shards.calls, 7);
}

TEST(Polls, AnnouncedOnesAreWaitedForAndMayBeDropped) {
  PollsRig rig(1);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  const auto ended = std::make_shared<PollsRig::Ended>();
  const auto ticket = rig.polls->announce(rig.wish("w", 1, Millis(0), ended));
  rig.add_job(0, "j");
  rig.ready(0, true);
  EXPECT_TRUE(rig.told.empty());
  rig.polls->go(ticket);
  EXPECT_EQ(ended->tasks, Names{"j"});
  EXPECT_TRUE(rig.told.empty());
  const auto other = std::make_shared<PollsRig::Ended>();
  const auto second = rig.polls->announce(rig.wish("w", 1, Millis(0), other));
  rig.add_job(0, "k");
  rig.ready(0, true);
  rig.polls->drop(second);
  EXPECT_FALSE(other->is_over);
  rig.pass(rig.options.tell_every);
  EXPECT_EQ(rig.told, std::vector<int>{0});
}

TEST(Polls, StopEndsWhatWaitsAndLetsAnswersCome) {
  PollsRig rig(2);
  rig.shards.add_worker("w");
  rig.shards.add_worker("v");
  const auto waits = rig.poll("w");
  rig.deliver_all();
  rig.add_job(1, "j");
  const auto is_asked = rig.poll("v");
  rig.polls->stop();
  EXPECT_TRUE(waits->is_over);
  EXPECT_FALSE(is_asked->is_over);
  rig.deliver_all();
  EXPECT_TRUE(is_asked->is_over);
  const auto ended = std::make_shared<PollsRig::Ended>();
  EXPECT_FALSE(rig.polls->add(rig.wish("w", 1, Millis(0), ended)));
}

TEST(Polls, ThereAreLimits) {
  PollOptions options;
  options.polls_max = 3;
  PollsRig rig(1, options);
  rig.shards.at_once = true;
  for (const char* worker : {"a", "b", "c", "d"}) rig.shards.add_worker(worker);
  rig.poll("a");
  rig.poll("b");
  rig.poll("c");
  const auto ended = std::make_shared<PollsRig::Ended>();
  EXPECT_FALSE(rig.polls->add(rig.wish("d", 1, Millis(0), ended)));
}

TEST(Polls, ManyWhoAreAnsweredAtOnceDoNotMakeTheStackDeep) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  for (int i = 0; i < 5'000; ++i) {
    const std::string worker = "w" + std::to_string(i);
    rig.shards.add_worker(worker);
    rig.poll(worker);
    rig.add_job(1, "j" + std::to_string(i));
  }
  rig.ready(1, true);
  EXPECT_EQ(rig.polls->size(), 0u);
}

TEST(Polls, WhoCameFirstAndIsAskedElsewhereIsAskedInARoundOnceItWaitsAgain) {
  PollsRig rig(2);
  rig.shards.add_worker("v", "linux");
  rig.shards.add_worker("w", "mac");
  const auto first = rig.poll("v");
  rig.deliver_all();
  rig.poll("w");
  rig.deliver_all();
  rig.ready(0, true);  // asks for v
  rig.add_job(1, "j", "linux");
  rig.ready(1, true);  // asks for w, since v is busy
  ASSERT_EQ(rig.shards.pending.size(), 2u);
  EXPECT_EQ(rig.shards.asked.back(), (std::pair<int, std::string>(1, "w")));
  rig.deliver_all();
  EXPECT_EQ(first->tasks, Names{"j"});
}

TEST(Polls, NewsCallNoShardBeforeTheTickThatTheyAskFor) {
  PollsRig rig(2);
  rig.shards.add_worker("v", "linux");
  rig.shards.add_worker("w", "mac");
  for (const char* worker : {"v", "w"}) {
    rig.poll(worker);
    rig.deliver_all();
  }
  const int before = rig.shards.calls;
  rig.wake = {};
  rig.polls->ready(0, true);
  EXPECT_EQ(rig.shards.calls, before) << "a conductor's thread says so";
  EXPECT_EQ(rig.wake, rig.clock.at);
  rig.polls->tick();
  EXPECT_EQ(rig.shards.calls, before + 1);
  rig.wake = {};
  rig.shards.deliver_all();
  EXPECT_EQ(rig.shards.calls, before + 1) << "the answer comes on such a thread, too";
  EXPECT_EQ(rig.wake, rig.clock.at);
  rig.polls->tick();
  EXPECT_EQ(rig.shards.calls, before + 2);
  rig.polls->shards_changed();
  EXPECT_EQ(rig.shards.calls, before + 2);
}

TEST(Polls, WhenACallerIsGoneItsWorkerWaitsNowhereAnyMore) {
  PollsRig rig(3);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  rig.shards.at(2).is_away = true;
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  rig.poll("w", 1, Millis(20'000), gone);
  rig.pass(rig.options.look_every);
  EXPECT_EQ(rig.polls->size(), 1u);
  *gone = true;
  rig.pass(rig.options.look_every);
  EXPECT_EQ(rig.polls->size(), 0u);
  using Left = std::vector<std::pair<int, std::string>>;
  EXPECT_EQ(rig.shards.left, (Left{{0, "w"}, {1, "w"}})) << "but the one that is away";
}

TEST(Polls, AWorkerThatAsksAgainWaitsStill) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  rig.shards.add_worker("w");
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  rig.poll("w", 1, Millis(20'000), gone);
  *gone = true;
  rig.poll("w");
  rig.pass(rig.options.look_every);
  EXPECT_EQ(rig.polls->size(), 1u);
  EXPECT_TRUE(rig.shards.left.empty());
  rig.polls->stop();
  EXPECT_EQ(rig.shards.left.size(), 2u);
}

TEST(Polls, SayFarewellOnlySoOftenAtOnce) {
  PollOptions options;
  options.keeping_max = 3;
  PollsRig rig(2, options);
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  for (const char* worker : {"a", "b", "c", "d"}) {
    rig.shards.add_worker(worker);
    rig.poll(worker, 1, Millis(20'000), gone);
    rig.deliver_all();
  }
  *gone = true;
  rig.pass(rig.options.look_every);
  EXPECT_EQ(rig.shards.left.size(), 3u);
  rig.shards.deliver(0);
  EXPECT_EQ(rig.shards.left.size(), 4u);
  rig.deliver_all();
  EXPECT_EQ(rig.shards.left.size(), 8u);
}

TEST(Polls, WhoDrainsHidesNothingFromOthersOfItsKind) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  for (const char* worker : {"v", "w"}) rig.shards.add_worker(worker);
  const auto drains = rig.poll("v");
  const auto works = rig.poll("w");
  // Another replica was told.
  for (FakeShards::Shard& shard : rig.shards.shards) shard.draining = {"v"};
  rig.add_job(1, "j");
  rig.ready(1, true);
  EXPECT_EQ(works->tasks, Names{"j"});
  EXPECT_FALSE(drains->is_over);
  rig.add_job(0, "k");
  rig.ready(0, true);
  rig.poll("v", 1, Millis(0));
  EXPECT_EQ(rig.poll("w")->tasks, Names{"k"});
}

TEST(Polls, DoNotTellAgainWhatFitsNobodyUntilThereIsNews) {
  PollsRig rig(2);
  rig.shards.at_once = true;
  rig.shards.add_worker("w", "linux");
  const auto poll = rig.poll("w");
  rig.add_job(0, "j", "mac");
  rig.ready(0, true);
  EXPECT_EQ(rig.told, std::vector<int>{0});
  for (int i = 0; i < 3; ++i) rig.pass(rig.options.keep_alive);
  rig.ready(0, false);
  rig.shards_changed();
  EXPECT_EQ(rig.told, std::vector<int>{0});
  rig.pass(rig.options.tell_every);
  rig.ready(0, true);
  EXPECT_EQ(rig.told, (std::vector<int>{0, 0}));
}
}  // namespace
}  // namespace mc::cluster
