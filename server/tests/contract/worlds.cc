#include "tests/contract/worlds.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "db/memory/memory_store.h"
#include "db/sqlite/sqlite_store.h"
#include "tests/contract/postgres_server.h"

namespace mc::db::contract {
namespace {
class MemoryWorld final : public World {
 public:
  Store& store() override { return *store_; }

 private:
  std::unique_ptr<Store> store_ = make_memory_store();
};

class SqliteWorld final : public World {
 public:
  SqliteWorld() { open(); }
  Store& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    Result<std::unique_ptr<Store>> opened = open_sqlite({.folder = folder_.path()});
    MC_CHECK(opened.ok());
    store_ = std::move(*opened);
  }
  TempFolder folder_;
  std::unique_ptr<Store> store_;
};

class PostgresWorld final : public World {
 public:
  explicit PostgresWorld(bool pooled) : pooled_(pooled) { open(); }
  ~PostgresWorld() override { store_.reset(); }
  Store& store() override { return *store_; }
  void reopen() override {
    store_.reset();
    open();
  }

 private:
  void open() {
    PostgresSettings settings = database_.settings();
    if (pooled_) settings.url = PgBouncer::shared().url(database_.name());
    Result<std::unique_ptr<Store>> opened = open_postgres_store(settings);
    if (!opened) ADD_FAILURE() << opened.error().message;
    MC_CHECK(opened.ok());
    store_ = std::move(*opened);
  }
  const bool pooled_;
  TempDatabase database_;
  std::unique_ptr<Store> store_;
};

class FaultyWorld final : public World {
 public:
  explicit FaultyWorld(std::unique_ptr<World> inner)
      : inner_(std::move(inner)), store_(std::make_unique<FaultyStore>(inner_->store())) {}
  Store& store() override { return *store_; }
  void reopen() override {
    inner_->reopen();
    store_ = std::make_unique<FaultyStore>(inner_->store());
  }

 private:
  std::unique_ptr<World> inner_;
  std::unique_ptr<FaultyStore> store_;
};
}  // namespace

void AnyStore::SetUp() {
  if (!world_) GTEST_SKIP() << PgBouncer::missing();
}

TempFolder::TempFolder() : path_(testing::TempDir() + "maestro-contract-XXXXXX") {
  MC_CHECK(::mkdtemp(path_.data()) != nullptr);
}
TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::unique_ptr<World> make_world(const std::string& name) {
  if (name == "memory") return std::make_unique<MemoryWorld>();
  if (name == "sqlite") return std::make_unique<SqliteWorld>();
  if (name == "postgres")
    return PostgresServer::missing().empty() ? std::make_unique<PostgresWorld>(false) : nullptr;
  if (name == "pgbouncer")
    return PgBouncer::missing().empty() ? std::make_unique<PostgresWorld>(true) : nullptr;
  if (name == "faulty_memory")
    return std::make_unique<FaultyWorld>(std::make_unique<MemoryWorld>());
  return std::make_unique<FaultyWorld>(std::make_unique<SqliteWorld>());
}

Uuid id_of(std::int64_t number) {
  return derive_uuid(Instant{1'700'000'000'000 + number}, std::to_string(number));
}

RunWrite write_of(std::int64_t number, std::int64_t expected, int count) {
  RunWrite write;
  write.run = id_of(number);
  write.expected_seq = expected;
  if (count > 0) {
    const Instant time{1'700'000'000'000 + expected};
    write.events = EventGroup{expected + 1, expected + count, time,
                              fmt::format("[{{\"run\":{},\"seq\":{}}}]", number, expected + 1)};
  }
  write.row.id = write.run;
  write.row.number = number;
  write.row.project = "default";
  write.row.workflow = "build";
  write.row.created_at = Instant{1'700'000'000'000 + number};
  write.row.json = fmt::format("{{\"number\":{},\"seq\":{}}}", number, expected + count);
  return write;
}

Batch batch_of(RunWrite write) {
  Batch batch;
  batch.runs.push_back(std::move(write));
  return batch;
}

std::string shown(const RunRow& row) {
  std::string labels;
  for (const auto& [name, value] : row.labels) labels += name + "=" + value + ";";
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}\n", to_string(row.id),
                     row.number, row.project, row.workflow, to_name(row.status),
                     to_name(row.reason), to_name(row.trigger), row.actor, row.ref, row.commit,
                     labels, row.run_key, to_string(row.parent), to_string(row.rerun_of),
                     row.created_at.ms, row.finished_at.ms, row.deleted_at.ms, row.json);
}
std::string shown(const std::vector<RunRow>& rows) {
  std::string text;
  for (const RunRow& row : rows) text += shown(row);
  return text;
}
std::string shown(const std::vector<EventGroup>& groups) {
  std::string text;
  for (const EventGroup& group : groups) {
    text += fmt::format("  {}-{} @{} {}\n", group.first_seq, group.last_seq, group.time.ms,
                        group.payload);
  }
  return text;
}
std::string shown(const std::vector<FeedGroup>& groups) {
  std::string text;
  for (const FeedGroup& group : groups) {
    text +=
        fmt::format("{} {}", to_string(group.run), shown(std::vector<EventGroup>{group.events}));
  }
  return text;
}
std::string shown(const StoredRun& run) {
  return fmt::format("{} seq {} snapshot {} \"{}\"\n{}", shown(run.row), run.last_seq,
                     run.snapshot_seq, run.snapshot, shown(run.events));
}
std::string shown(const std::vector<Record>& records) {
  std::string text;
  for (const Record& record : records) {
    text += fmt::format("{} {} v{} {}\n", record.kind, record.key, record.version, record.json);
  }
  return text;
}

std::string shown(Store& store, std::int64_t runs_max, const std::vector<std::string>& kinds) {
  constexpr int kAll = 1'000'000;
  std::string text;
  for (std::int64_t number = 1; number <= runs_max; ++number) {
    const auto run = store.load_run(id_of(number));
    if (!run) return run.error().message;
    if (!*run) continue;
    text += shown(**run);
    const auto events = store.read_events(id_of(number), 0, kAll);
    if (!events) return events.error().message;
    text += shown(*events);
  }
  const auto feed = store.read_feed(0, kAll);
  if (!feed) return feed.error().message;
  text += shown(*feed);
  for (const std::string& kind : kinds) {
    const auto records = store.list_records(kind, "", "", kAll);
    if (!records) return records.error().message;
    text += shown(*records);
  }
  return text;
}

Status nothing_else(Uuid) { return {}; }

std::string code_of(const Status& status) {
  return status ? "" : std::string(code_name(status.error().code));
}

}  // namespace mc::db::contract
