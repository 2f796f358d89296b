#include "db/sqlite/sqlite_store.h"

#include <sys/stat.h>

#include <mutex>

#include "base/json.h"
#include "base/text.h"
#include "db/sqlite/folder_lock.h"
#include "db/sqlite/migrations.h"
#include "db/sqlite/run_rows.h"

namespace mc::db {
namespace {
constexpr int kCheckpointPages =
    4000;  // WAL pages after which the writer checkpoints between commits
constexpr std::size_t kReadersMax = 4;

std::string database_path(const std::string& folder) { return folder + "/maestro.db"; }

Error failed(Connection& connection, int result) {
  const int primary = result & 0xff;
  if (primary == SQLITE_FULL)
    return Error{Code::store_failed, "the disk is full: free some space", {}};
  return Error{Code::store_failed, "the store cannot write: " + connection.message(), {}};
}

// Errors: data_folder: not a database, corrupt, or not writable.
Status configure(Connection& connection, bool writer) {
  const char* setup =
      writer ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
               "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY; PRAGMA "
               "cache_size=-16000;"
             : "PRAGMA query_only=1; PRAGMA cache_size=-4000;";
  const int result = connection.execute(setup);
  if (result == SQLITE_OK) return {};
  const int primary = result & 0xff;
  std::string hint = primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT
                         ? "; restore a backup, or choose another folder with --data"
                         : "; see `maestro doctor`";
  return Error{
      Code::data_folder, "the database cannot be used: " + connection.message() + hint, {}};
}

Result<std::unique_ptr<Connection>> open_writer(const std::string& folder, bool create) {
  auto opened = Connection::open(database_path(folder), false, create);
  if (!opened) return opened;
  ::chmod(database_path(folder).c_str(), 0600);
  if (const Status ready = configure(**opened, true); !ready) return ready.error();
  return opened;
}

class SqliteStore final : public Store {
 public:
  SqliteStore(std::string folder, FolderLock lock, std::unique_ptr<Connection> writer)
      : folder_(std::move(folder)), lock_(std::move(lock)), writer_(std::move(writer)) {}
  ~SqliteStore() override {
    readers_.clear();
    idle();
  }

  Status commit(const Batch& batch) override {
    if (batch.empty()) return {};
    int result = writer_->execute("BEGIN IMMEDIATE");
    if (result != SQLITE_OK) return failed(*writer_, result);
    Status written = write(batch);
    if (written) {
      result = writer_->execute("COMMIT");
      if (result != SQLITE_OK) written = failed(*writer_, result);
    }
    if (!written) {
      writer_->execute("ROLLBACK");
      return written;
    }
    checkpoint_when_long();
    return {};
  }

  Result<std::optional<StoredRun>> load_run(Uuid run) override {
    Reader reader(*this);
    if (!reader) return reader.error();
    Query rows = reader->query(std::string(kSelectRun) + " WHERE id = ?");
    rows.bind(run);
    if (!rows.step()) {
      if (rows.result() != SQLITE_DONE) return reader.failure();
      return std::optional<StoredRun>{};
    }
    StoredRun stored;
    read_run(rows, stored);
    if (const Status history = load_history(*reader.get(), stored); !history)
      return history.error();
    return std::optional<StoredRun>(std::move(stored));
  }

  Result<std::vector<EventGroup>> read_events(Uuid run, std::int64_t after, int limit) override {
    Reader reader(*this);
    if (!reader) return reader.error();
    // The group that holds `after` may begin before it: groups do not overlap, so the order is the same.
    Query rows = reader->query(
        "SELECT first_seq, last_seq, time, payload FROM events WHERE run = ? AND last_seq > ? "
        "ORDER BY first_seq LIMIT ?");
    rows.bind(run).bind(after).bind(std::int64_t{limit});
    std::vector<EventGroup> groups;
    while (rows.step())
      groups.push_back({rows.integer(0), rows.integer(1), Instant{rows.integer(2)}, rows.text(3)});
    if (rows.result() != SQLITE_DONE) return reader.failure();
    return groups;
  }

  Result<std::vector<FeedGroup>> read_feed(std::int64_t after, int limit) override {
    Reader reader(*this);
    if (!reader) return reader.error();
    Query rows = reader->query(
        "SELECT position, run, first_seq, last_seq, time, payload FROM events WHERE position > ? "
        "ORDER BY position LIMIT ?");
    rows.bind(after).bind(std::int64_t{limit});
    std::vector<FeedGroup> groups;
    while (rows.step()) {
      groups.push_back(
          {rows.integer(0),
           rows.uuid(1),
           {rows.integer(2), rows.integer(3), Instant{rows.integer(4)}, rows.text(5)}});
    }
    if (rows.result() != SQLITE_DONE) return reader.failure();
    return groups;
  }

  Result<std::int64_t> feed_end() override {
    return number("SELECT COALESCE(MAX(position), 0) FROM events");
  }
  Result<std::int64_t> max_run_number() override {
    return number("SELECT COALESCE((SELECT value FROM counters WHERE name = 'run_number'), 0)");
  }

  Result<std::vector<RunRow>> list_runs(const RunQuery& query) override {
    Reader reader(*this);
    if (!reader) return reader.error();
    return select_runs(*reader.get(), query);
  }

  Status each_open_run(const std::function<bool(StoredRun)>& visit) override {
    Reader reader(*this);
    if (!reader) return reader.error();
    std::int64_t after = 0;
    while (true) {
      constexpr std::size_t kPage = 500;
      std::vector<StoredRun> page;
      {
        Query rows =
            reader->query(std::string(kSelectRun) +
                          " WHERE finished_at = 0 AND number > ? ORDER BY number LIMIT 500");
        rows.bind(after);
        while (rows.step()) read_run(rows, page.emplace_back());
        if (rows.result() != SQLITE_DONE) return reader.failure();
      }
      for (StoredRun& run : page) {
        after = run.row.number;
        if (const Status history = load_history(*reader.get(), run); !history) return history;
        if (!visit(std::move(run))) return {};
      }
      if (page.size() < kPage) return {};
    }
  }

  Result<std::optional<Record>> get_record(std::string_view kind, std::string_view key) override {
    Reader reader(*this);
    if (!reader) return reader.error();
    Query rows = reader->query("SELECT json, version FROM records WHERE kind = ? AND key = ?");
    rows.bind(kind).bind(key);
    if (rows.step())
      return std::optional<Record>(
          Record{std::string(kind), std::string(key), rows.text(0), rows.integer(1)});
    if (rows.result() != SQLITE_DONE) return reader.failure();
    return std::optional<Record>{};
  }

  Result<std::vector<Record>> list_records(std::string_view kind, std::string_view prefix,
                                           std::string_view after, int limit) override {
    Reader reader(*this);
    if (!reader) return reader.error();
    Query rows = reader->query(
        "SELECT key, json, version FROM records WHERE kind = ? AND key > ? AND key >= ? ORDER BY "
        "key");
    rows.bind(kind).bind(after).bind(prefix);
    std::vector<Record> page;
    while (static_cast<int>(page.size()) < limit && rows.step()) {
      std::string key = rows.text(0);
      if (!key.starts_with(prefix)) break;
      page.push_back({std::string(kind), std::move(key), rows.text(1), rows.integer(2)});
    }
    if (rows.result() != SQLITE_DONE && rows.result() != SQLITE_ROW && rows.result() != SQLITE_OK)
      return reader.failure();
    return page;
  }

  Result<std::optional<Receipt>> get_receipt(std::string_view scope,
                                             std::string_view key) override {
    Reader reader(*this);
    if (!reader) return reader.error();
    Query rows = reader->query(
        "SELECT request_digest, status, location, body, created_at FROM receipts WHERE scope = ? "
        "AND key = ?");
    rows.bind(scope).bind(key);
    if (rows.step()) {
      return std::optional<Receipt>(Receipt{std::string(scope), std::string(key), rows.text(0),
                                            static_cast<int>(rows.integer(1)), rows.text(2),
                                            rows.text(3), Instant{rows.integer(4)}});
    }
    if (rows.result() != SQLITE_DONE) return reader.failure();
    return std::optional<Receipt>{};
  }

  Result<std::int64_t> drop_receipts(Instant before, int limit) override {
    Query query = writer_->query(
        "DELETE FROM receipts WHERE (scope, key) IN (SELECT scope, key FROM receipts WHERE "
        "created_at < ? LIMIT ?)");
    const int result = query.bind(before.ms).bind(std::int64_t{limit}).run();
    if (result != SQLITE_DONE) return failed(*writer_, result);
    return std::int64_t{sqlite3_changes(writer_->handle())};
  }

  Result<std::int64_t> purge_runs(Instant before, int limit) override {
    std::vector<Uuid> gone;
    {
      Query rows =
          writer_->query("SELECT id FROM runs WHERE deleted_at <> 0 AND deleted_at < ? LIMIT ?");
      rows.bind(before.ms).bind(std::int64_t{limit});
      while (rows.step()) gone.push_back(rows.uuid(0));
    }
    if (gone.empty()) return std::int64_t{0};
    int result = writer_->execute("BEGIN IMMEDIATE");
    for (const Uuid run : gone) {
      for (const char* sql :
           {"DELETE FROM events WHERE run = ?", "DELETE FROM snapshots WHERE run = ?",
            "DELETE FROM run_labels WHERE run = ?", "DELETE FROM runs WHERE id = ?"}) {
        if (result == SQLITE_OK || result == SQLITE_DONE)
          result = writer_->query(sql).bind(run).run();
      }
    }
    if (result == SQLITE_DONE) result = writer_->execute("COMMIT");
    if (result == SQLITE_OK) return static_cast<std::int64_t>(gone.size());
    writer_->execute("ROLLBACK");
    return failed(*writer_, result);
  }

  void idle() override {
    sqlite3_wal_checkpoint_v2(writer_->handle(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                              nullptr);
  }

 private:
  // A read-only connection, given back when it goes.
  class Reader {
   public:
    explicit Reader(SqliteStore& store) : store_(store), connection_(store.take_reader()) {}
    ~Reader() {
      if (connection_) store_.give_back(std::move(*connection_));
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    explicit operator bool() const { return connection_.ok(); }
    const Error& error() const { return connection_.error(); }
    Error failure() {
      return Error{Code::store_failed, "the store cannot read: " + get()->message(), {}};
    }
    Connection* get() { return connection_->get(); }
    Connection* operator->() { return get(); }

   private:
    SqliteStore& store_;
    Result<std::unique_ptr<Connection>> connection_;
  };

  Result<std::unique_ptr<Connection>> take_reader() {
    {
      const std::lock_guard lock(readers_mutex_);
      if (!readers_.empty()) {
        auto reader = std::move(readers_.back());
        readers_.pop_back();
        return reader;
      }
    }
    auto opened = Connection::open(database_path(folder_), true, false);
    if (!opened) return Error{Code::store_failed, opened.error().message, {}};
    if (const Status ready = configure(**opened, false); !ready)
      return Error{Code::store_failed, ready.error().message, {}};
    return opened;
  }
  void give_back(std::unique_ptr<Connection> reader) {
    const std::lock_guard lock(readers_mutex_);
    if (readers_.size() < kReadersMax) readers_.push_back(std::move(reader));
  }

  Result<std::int64_t> number(const char* sql) {
    Reader reader(*this);
    if (!reader) return reader.error();
    Query rows = reader->query(sql);
    if (!rows.step()) return reader.failure();
    return rows.integer(0);
  }

  Status load_history(Connection& reader, StoredRun& run) {
    {
      Query rows = reader.query("SELECT seq, body FROM snapshots WHERE run = ?");
      rows.bind(run.row.id);
      if (rows.step()) {
        run.snapshot_seq = rows.integer(0);
        run.snapshot = rows.text(1);
      }
    }
    Query rows = reader.query(
        "SELECT first_seq, last_seq, time, payload FROM events WHERE run = ? AND first_seq > ? "
        "ORDER BY first_seq");
    rows.bind(run.row.id).bind(run.snapshot_seq);
    while (rows.step())
      run.events.push_back(
          {rows.integer(0), rows.integer(1), Instant{rows.integer(2)}, rows.text(3)});
    if (rows.result() == SQLITE_DONE) return {};
    return Error{Code::store_failed, "the store cannot read: " + reader.message(), {}};
  }

  Status write(const Batch& batch) {
    for (const RunWrite& run : batch.runs) {
      if (const Status done = write_run(*writer_, run); !done) return done;
    }
    for (const RecordPut& put : batch.records) {
      if (const Status done = write_record(*writer_, put); !done) return done;
    }
    for (const Receipt& receipt : batch.receipts) {
      if (const Status done = write_receipt(*writer_, receipt); !done) return done;
    }
    return {};
  }

  // Between commits, so that no reader and no commit ever races a checkpoint of another connection: the
  // writer alone checkpoints (SQLite's WAL-reset bug, fixed after the 3.40.1 of Debian 12, needs two).
  void checkpoint_when_long() {
    if (++commits_ % 64 != 0) return;
    struct stat info{};
    const std::string wal = database_path(folder_) + "-wal";
    constexpr off_t kPage = 4096;
    if (::stat(wal.c_str(), &info) == 0 && info.st_size > kCheckpointPages * kPage) {
      sqlite3_wal_checkpoint_v2(writer_->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr,
                                nullptr);
    }
  }

  const std::string folder_;
  FolderLock lock_;
  std::unique_ptr<Connection> writer_;  // the committing thread's
  std::uint64_t commits_ = 0;
  std::mutex readers_mutex_;  // guards readers_
  std::vector<std::unique_ptr<Connection>> readers_;
};

template <class Action>
auto with_writer(const std::string& folder, Action action)
    -> decltype(action(std::declval<Connection&>())) {
  if (const Status usable = prepare_folder(folder, false); !usable) return usable.error();
  Result<FolderLock> lock = FolderLock::take(folder);
  if (!lock) return lock.error();
  auto writer = open_writer(folder, false);
  if (!writer) return writer.error();
  return action(**writer);
}
}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const OpenOptions& options) {
  if (const Status usable = prepare_folder(options.folder, options.create); !usable)
    return usable.error();
  Result<FolderLock> lock = FolderLock::take(options.folder);
  if (!lock) return lock.error();
  auto writer = open_writer(options.folder, options.create);
  if (!writer) return writer.error();
  const Result<int> version = schema_version(**writer);
  if (!version) return version.error();
  if (!options.migrate && static_cast<std::size_t>(*version) < migrations().size()) {
    return Error{
        Code::data_folder, "the database has an older schema: run `maestro migrate up`", {}};
  }
  if (const Status migrated = apply_migrations(**writer, system_clock().now()); !migrated)
    return migrated.error();
  return std::unique_ptr<Store>(
      std::make_unique<SqliteStore>(options.folder, std::move(*lock), std::move(*writer)));
}

Result<std::vector<MigrationState>> migration_status(const std::string& folder) {
  return with_writer(folder, [](Connection& c) { return migration_states(c); });
}
Status migrate_up(const std::string& folder) {
  return with_writer(folder,
                     [](Connection& c) { return apply_migrations(c, system_clock().now()); });
}
Status migrate_down(const std::string& folder) {
  return with_writer(folder, [](Connection& c) { return undo_migration(c); });
}

Status check_database(const std::string& folder) {
  auto reader = Connection::open(database_path(folder), true, false);
  if (!reader) return reader.error();
  Query query = (*reader)->query("PRAGMA quick_check(1)");
  if (!query.step())
    return Error{Code::data_folder,
                 "the database cannot be read: " + (*reader)->message() + "; restore a backup",
                 {}};
  const std::string answer = query.text(0);
  if (answer == "ok") return {};
  return Error{Code::data_folder, "the database is damaged: " + answer + "; restore a backup", {}};
}

Status backup_database(const std::string& folder, const std::string& to) {
  auto from = Connection::open(database_path(folder), true, false);
  if (!from) return from.error();
  auto target = Connection::open(to, false, true);
  if (!target) return target.error();
  ::chmod(to.c_str(), 0600);
  sqlite3_backup* copy =
      sqlite3_backup_init((*target)->handle(), "main", (*from)->handle(), "main");
  if (copy == nullptr)
    return Error{Code::data_folder, "cannot back up: " + (*target)->message(), {}};
  const int result = sqlite3_backup_step(copy, -1);
  sqlite3_backup_finish(copy);
  if (result == SQLITE_DONE) return {};
  return Error{Code::data_folder, "cannot back up: " + (*target)->message(), {}};
}
}  // namespace mc::db
