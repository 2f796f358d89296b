// What a commit promises.
#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
using Commit = AnyStore;
MC_EVERY_STORE(Commit);

TEST_P(Commit, IsSeenWholeAfterwards) {
  RunWrite write = write_of(7, 0, 3);
  write.row.status = RunStatus::running;
  write.row.reason = Reason::approval;
  write.row.trigger = TriggerKind::webhook;
  write.row.actor = "mia";
  write.row.ref = "refs/heads/main";
  write.row.commit = "abc123";
  write.row.labels = {{"team", "core"}, {"odd \"name\"", "välue\n"}, {"team", "core"}};
  write.row.run_key = "deploy";
  write.row.parent = id_of(1);
  write.row.rerun_of = id_of(2);
  write.snapshot = std::string("{\"zero\":\"\0\"}", 12);
  ASSERT_TRUE(store().commit(batch_of(write)));
  world_->reopen();
  const auto stored = store().load_run(id_of(7));
  ASSERT_TRUE(stored && *stored);
  EXPECT_EQ(shown((*stored)->row), shown(write.row));
  EXPECT_EQ((*stored)->last_seq, 3);
  EXPECT_EQ((*stored)->snapshot_seq, 3);
  EXPECT_EQ((*stored)->snapshot, *write.snapshot);
  EXPECT_TRUE((*stored)->events.empty());
  const auto events = store().read_events(id_of(7), 0, 10);
  ASSERT_TRUE(events);
  EXPECT_EQ(shown(*events), shown(std::vector<EventGroup>{*write.events}));
}

TEST_P(Commit, OfNothingIsFine) { EXPECT_TRUE(store().commit({})); }

TEST_P(Commit, BuildsOnTheSeqItNames) {
  EXPECT_EQ(code_of(store().commit(batch_of(write_of(1, 5)))), "conflict");
  ASSERT_TRUE(store().commit(batch_of(write_of(1, 0, 2))));
  EXPECT_EQ(code_of(store().commit(batch_of(write_of(1, 0)))), "conflict");
  EXPECT_EQ(code_of(store().commit(batch_of(write_of(1, 1)))), "conflict");
  EXPECT_EQ(code_of(store().commit(batch_of(write_of(1, 3)))), "conflict");
  EXPECT_TRUE(store().commit(batch_of(write_of(1, 2))));
}

TEST_P(Commit, NamesTheRunInConflict) {
  const Status refused = store().commit(batch_of(write_of(1, 5)));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(to_string(id_of(1))), std::string::npos);
}

// Whatever is wrong in a batch, and wherever: nothing of it is there afterwards.
TEST_P(Commit, IsAllOrNothing) {
  Batch first;
  first.runs = {write_of(1, 0)};
  first.records = {{"kind", "taken", "{}", std::nullopt}};
  first.receipts = {{"scope", "taken", "digest", 201, "/x", "{}", Instant{5}}};
  ASSERT_TRUE(store().commit(first));
  const std::string before = shown(store(), 9, {"kind"});

  Batch good;
  good.runs = {write_of(2, 0), write_of(1, 1)};
  good.runs[1].snapshot = "state";
  good.records = {{"kind", "new", "{}", 0}, {"kind", "taken", std::nullopt, 1}};
  good.receipts = {{"scope", "new", "digest", 201, "/x", "{}", Instant{5}}};
  std::vector<Batch> bad(5, good);
  bad[0].runs.push_back(write_of(3, 1));
  bad[1].records.push_back({"kind", "taken", "{}", 2});
  bad[2].records.push_back({"kind", "absent", std::nullopt, 1});
  bad[3].receipts.push_back({"scope", "taken", "digest", 201, "/x", "{}", Instant{5}});
  bad[4].receipts.push_back(good.receipts[0]);
  for (const Batch& batch : bad) {
    EXPECT_EQ(code_of(store().commit(batch)), "conflict");
    EXPECT_EQ(shown(store(), 9, {"kind"}), before);
    const auto receipt = store().get_receipt("scope", "new");
    EXPECT_TRUE(receipt && !*receipt);
  }
  EXPECT_TRUE(store().commit(good));
  EXPECT_NE(shown(store(), 9, {"kind"}), before);
}

TEST_P(Commit, MayChangeARowAndAddNoEvent) {
  ASSERT_TRUE(store().commit(batch_of(write_of(1, 0))));
  RunWrite write = write_of(1, 1, 0);
  write.row.deleted_at = Instant{9};
  ASSERT_TRUE(store().commit(batch_of(write)));
  const auto stored = store().load_run(id_of(1));
  ASSERT_TRUE(stored && *stored);
  EXPECT_EQ((*stored)->last_seq, 1);
  EXPECT_EQ((*stored)->row.deleted_at, Instant{9});
  EXPECT_EQ((*stored)->events.size(), 1U);
}

TEST_P(Commit, ReplacesTheSnapshotAndGivesOnlyWhatCameAfter) {
  RunWrite write = write_of(1, 0, 2);
  write.snapshot = "at 2";
  ASSERT_TRUE(store().commit(batch_of(write)));
  ASSERT_TRUE(store().commit(batch_of(write_of(1, 2))));
  auto stored = store().load_run(id_of(1));
  ASSERT_TRUE(stored && *stored);
  EXPECT_EQ((*stored)->snapshot, "at 2");
  ASSERT_EQ((*stored)->events.size(), 1U);
  EXPECT_EQ((*stored)->events[0].first_seq, 3);
  write = write_of(1, 3);
  write.snapshot = "at 4";
  ASSERT_TRUE(store().commit(batch_of(write)));
  stored = store().load_run(id_of(1));
  ASSERT_TRUE(stored && *stored);
  EXPECT_EQ((*stored)->snapshot, "at 4");
  EXPECT_EQ((*stored)->snapshot_seq, 4);
  EXPECT_TRUE((*stored)->events.empty());
}

TEST_P(Commit, GivesRecordsVersions) {
  const auto put = [&](std::optional<std::string> json, std::optional<std::int64_t> expected) {
    Batch batch;
    batch.records = {{"kind", "key", std::move(json), expected}};
    return code_of(store().commit(batch));
  };
  EXPECT_EQ(put("a", 1), "conflict");
  EXPECT_EQ(put(std::nullopt, 1), "conflict");
  EXPECT_EQ(put(std::nullopt, std::nullopt), "");
  EXPECT_EQ(put("a", 0), "");
  EXPECT_EQ(put("b", 0), "conflict");
  EXPECT_EQ(put("b", std::nullopt), "");
  EXPECT_EQ(put("c", 2), "");
  auto record = store().get_record("kind", "key");
  ASSERT_TRUE(record && *record);
  EXPECT_EQ((*record)->json, "c");
  EXPECT_EQ((*record)->version, 3);
  EXPECT_EQ(put(std::nullopt, 2), "conflict");
  EXPECT_EQ(put(std::nullopt, 3), "");
  record = store().get_record("kind", "key");
  EXPECT_TRUE(record && !*record);
  EXPECT_EQ(put("d", 0), "");
}

TEST_P(Commit, KeepsReceiptsUntilTheyAreDropped) {
  Batch batch;
  for (int i = 1; i <= 5; ++i)
    batch.receipts.push_back({"s", std::to_string(i), "digest", 201, "/l", "body", Instant{i}});
  ASSERT_TRUE(store().commit(batch));
  world_->reopen();
  auto receipt = store().get_receipt("s", "4");
  ASSERT_TRUE(receipt && *receipt);
  EXPECT_EQ((*receipt)->body, "body");
  EXPECT_EQ((*receipt)->status, 201);
  EXPECT_EQ((*receipt)->created_at, Instant{4});
  receipt = store().get_receipt("other", "4");
  EXPECT_TRUE(receipt && !*receipt);
  EXPECT_EQ(store().drop_receipts(Instant{4}, 2).value(), 2);
  EXPECT_EQ(store().drop_receipts(Instant{4}, 2).value(), 1);
  EXPECT_EQ(store().drop_receipts(Instant{4}, 2).value(), 0);
  receipt = store().get_receipt("s", "4");
  EXPECT_TRUE(receipt && *receipt);
}

TEST_P(Commit, PurgesDeletedRunsAndNeverGivesAPositionAgain) {
  for (int number = 1; number <= 4; ++number) {
    RunWrite write = write_of(number, 0);
    write.row.labels = {{"a", "b"}};
    write.snapshot = "state";
    if (number > 2) write.row.deleted_at = Instant{number * 10};
    ASSERT_TRUE(store().commit(batch_of(write)));
  }
  const std::int64_t end = store().feed_end().value();
  const auto refuse = [](Uuid) -> Status { return Error{Code::store_failed, "not yet", {}}; };
  EXPECT_FALSE(store().purge_runs(Instant{40}, 10, refuse));
  std::vector<Uuid> told;
  const auto tell = [&](Uuid run) -> Status {
    told.push_back(run);
    return {};
  };
  EXPECT_EQ(store().purge_runs(Instant{40}, 10, tell).value(), 1);
  EXPECT_EQ(store().purge_runs(Instant{41}, 10, tell).value(), 1);
  EXPECT_EQ(store().purge_runs(Instant{41}, 10, tell).value(), 0);
  EXPECT_EQ(told, (std::vector<Uuid>{id_of(3), id_of(4)}));
  world_->reopen();
  const auto gone = store().load_run(id_of(4));
  EXPECT_TRUE(gone && !*gone);
  EXPECT_TRUE(store().read_events(id_of(4), 0, 10).value().empty());
  EXPECT_EQ(store().read_feed(0, 10).value().size(), 2U);
  ASSERT_TRUE(store().commit(batch_of(write_of(4, 0))));
  const auto fresh = store().read_feed(end, 10);
  ASSERT_TRUE(fresh);
  ASSERT_EQ(fresh->size(), 1U);
  EXPECT_EQ(fresh->front().run, id_of(4));
}
}  // namespace
}  // namespace mc::db::contract
