// The same random batches and questions for the memory store, whose answers are plain to see, and
// for every other one.
#include "db/memory/memory_store.h"
#include "tests/contract/worlds.h"

namespace mc::db::contract {
namespace {
constexpr std::int64_t kRunsMax = 40;
constexpr int kRounds = 120;

class RandomBatches {
 public:
  explicit RandomBatches(std::uint64_t seed) : rng_(seed) {}

  Batch next() {
    Batch batch;
    std::int64_t number = static_cast<std::int64_t>(rng_.below(4)) + 1;
    while (number <= kRunsMax && batch.runs.size() < 6) {
      batch.runs.push_back(run(number));
      number += 1 + static_cast<std::int64_t>(rng_.below(12));
    }
    for (std::uint64_t i = rng_.below(3); i > 0; --i) batch.records.push_back(record());
    if (rng_.chance(0.3)) {
      batch.receipts.push_back({pick("s"), std::to_string(rng_.below(60)), "digest", 201, "/l", "b",
                                Instant{static_cast<std::int64_t>(rng_.below(100)) + 1}});
    }
    return batch;
  }
  // Called when `batch` was taken.
  void taken(const Batch& batch) {
    for (const RunWrite& write : batch.runs) {
      if (write.events) seq_[static_cast<std::size_t>(write.row.number)] = write.events->last_seq;
    }
  }

  RunQuery query() {
    RunQuery query{.project = pick("project"), .limit = static_cast<int>(rng_.below(12))};
    if (rng_.chance(0.3)) {
      for (std::uint64_t i = rng_.below(4); i > 0; --i) query.statuses.push_back(status());
    }
    if (rng_.chance(0.2)) query.workflow = pick("workflow");
    if (rng_.chance(0.2)) query.actor = pick("actor");
    if (rng_.chance(0.2)) query.ref = pick("ref");
    if (rng_.chance(0.2)) query.commit = commit().substr(0, rng_.below(4));
    if (rng_.chance(0.1)) query.run_key = pick("key");
    if (rng_.chance(0.1)) query.trigger = trigger();
    if (rng_.chance(0.1)) query.parent = relative();
    if (rng_.chance(0.1)) query.rerun_of = relative();
    if (rng_.chance(0.3)) query.labels = labels();
    if (rng_.chance(0.2)) query.created_after = created();
    if (rng_.chance(0.2)) query.created_before = created();
    if (rng_.chance(0.4)) query.before_number = static_cast<std::int64_t>(rng_.below(kRunsMax));
    return query;
  }

 private:
  std::string pick(const std::string& stem) { return stem + std::to_string(rng_.below(3)); }
  std::string commit() {
    constexpr std::string_view kHex = "ab\x7f";
    std::string text;
    for (int i = 0; i < 4; ++i) text += kHex[rng_.below(kHex.size())];
    return text;
  }
  RunStatus status() { return static_cast<RunStatus>(rng_.below(9)); }
  TriggerKind trigger() { return static_cast<TriggerKind>(rng_.below(9)); }
  Uuid relative() { return id_of(static_cast<std::int64_t>(rng_.below(3)) + 1); }
  Instant created() { return Instant{static_cast<std::int64_t>(rng_.below(50)) + 1}; }
  std::vector<std::pair<std::string, std::string>> labels() {
    std::vector<std::pair<std::string, std::string>> labels;
    for (std::uint64_t i = rng_.below(3); i > 0; --i) labels.emplace_back(pick("n"), pick("v"));
    return labels;
  }

  // What a run is created with follows from its number, most of the time.
  void facts(RunRow& row) {
    Rng of_run(static_cast<std::uint64_t>(row.number));
    std::swap(rng_, of_run);
    row.project = pick("project");
    row.workflow = pick("workflow");
    row.actor = pick("actor");
    row.ref = rng_.chance(0.5) ? pick("ref") : "";
    row.commit = rng_.chance(0.5) ? commit() : "";
    row.run_key = rng_.chance(0.3) ? pick("key") : "";
    row.trigger = trigger();
    row.parent = rng_.chance(0.3) ? relative() : Uuid{};
    row.rerun_of = rng_.chance(0.3) ? relative() : Uuid{};
    row.labels = labels();
    row.created_at = created();
    std::swap(rng_, of_run);
  }

  RunWrite run(std::int64_t number) {
    std::int64_t expected = seq_[static_cast<std::size_t>(number)];
    if (rng_.chance(0.01)) expected = static_cast<std::int64_t>(rng_.below(5));
    const int count = expected > 0 && rng_.chance(0.1) ? 0 : static_cast<int>(1 + rng_.below(3));
    RunWrite write = write_of(number, expected, count);
    facts(write.row);
    if (rng_.chance(0.2)) write.row.labels = labels();
    if (rng_.chance(0.05)) write.row.workflow = pick("workflow");
    if (rng_.chance(0.05)) write.row.project = pick("project");
    write.row.status = status();
    write.row.reason = static_cast<Reason>(rng_.below(8));
    if (is_final(write.row.status)) write.row.finished_at = created();
    if (rng_.chance(0.1)) write.row.deleted_at = created();
    if (rng_.chance(0.2)) write.snapshot = "state " + std::to_string(rng_.below(1000));
    return write;
  }

  RecordPut record() {
    RecordPut put{pick("kind"), pick("key"), std::nullopt, std::nullopt};
    if (rng_.chance(0.8)) put.json = std::to_string(rng_.below(1000));
    if (rng_.chance(0.4)) put.expected = static_cast<std::int64_t>(rng_.below(3));
    return put;
  }

  Rng rng_;
  std::vector<std::int64_t> seq_ = std::vector<std::int64_t>(kRunsMax + 1);
};

std::string all(Store& store) { return shown(store, kRunsMax, {"kind0", "kind1", "kind2"}); }

using Random = AnyStore;
INSTANTIATE_TEST_SUITE_P(Every, Random, testing::Values("sqlite", "postgres", "faulty_memory"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Random, BatchesAndQuestionsGetTheAnswersOfTheModel) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    world_ = make_world(GetParam());
    const std::unique_ptr<Store> model = make_memory_store();
    RandomBatches batches(seed);
    int refused = 0;
    for (int round = 0; round < kRounds; ++round) {
      const Batch batch = batches.next();
      const Status wanted = model->commit(batch);
      ASSERT_EQ(code_of(store().commit(batch)), code_of(wanted)) << "round " << round;
      wanted ? batches.taken(batch) : void(++refused);
      for (int i = 0; i < 5; ++i) {
        const RunQuery query = batches.query();
        ASSERT_EQ(shown(store().list_runs(query).value()), shown(model->list_runs(query).value()));
      }
      if (round % 30 == 29) {
        world_->reopen();
        ASSERT_EQ(all(store()), all(*model)) << "round " << round;
      }
    }
    EXPECT_GT(refused, 0);
    EXPECT_LT(refused, kRounds * 3 / 4);
    const Instant before{20};
    EXPECT_EQ(store().purge_runs(before, 1000, nothing_else).value(),
              model->purge_runs(before, 1000, nothing_else).value());
    EXPECT_EQ(store().drop_receipts(before, 1000).value(),
              model->drop_receipts(before, 1000).value());
    EXPECT_EQ(all(store()), all(*model));
  }
}
}  // namespace
}  // namespace mc::db::contract
