#include "db/sqlite/sqlite_store.h"

#include <optional>

#include "base/fault.h"
#include "db/sqlite/folder.h"
#include "db/sqlite/mark.h"
#include "db/sqlite/migrate.h"
#include "db/sqlite/read.h"
#include "db/sqlite/readers.h"
#include "db/sqlite/write.h"

namespace mc::db {
namespace {
// SQLite 3.40.1 can lose the write-ahead log when one connection checkpoints while another commits.
// So one connection, the writer's, does all commits and all checkpoints, between batches.
constexpr int kCheckpointPages = 4'000;
constexpr int kIdleCheckpointPages = 256;
constexpr int kIdleBusyMs = 20;
constexpr int kOpenRunsAtOnce = 256;
constexpr const char* kWriterSettings =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; "
    "PRAGMA cache_size = -65536;";

class SqliteStore final : public Store {
 public:
  SqliteStore(std::string folder, Fd lock)
      : folder_(std::move(folder)),
        lock_(std::move(lock)),
        readers_(database_path(folder_)),
        mark_(folder_) {}
  ~SqliteStore() override {
    readers_.close();
    const std::lock_guard lock(write_mutex_);
    if (writer_) checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
  }
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  // Brings the schema up and opens the writer. Errors: data_folder.
  Status start_writing();
  // Errors: data_folder, when the schema is not this build's.
  Status start_reading();

  Status commit(const Batch& batch) override {
    if (batch.empty()) return {};
    return write([&](Connection& connection, Progress& reached) -> Status {
      const std::int64_t before = reached.position;
      if (Status done = write_batch(connection, batch, reached.position); !done) return done;
      return reached.position == before ? count_quiet_commit(connection, ++reached.quiet)
                                        : Status();
    });
  }
  Result<std::int64_t> drop_receipts(Instant before, int limit) override {
    return write_counted([&](Connection& c) { return delete_receipts(c, before, limit); });
  }
  Result<std::int64_t> purge_runs(Instant before, int limit, const Going& going) override {
    return write_counted([&](Connection& c) { return delete_runs(c, before, limit, going); });
  }
  void idle() override;

  Result<std::optional<StoredRun>> load_run(Uuid run) override {
    return read([&](Connection& c) { return read_run(c, run); });
  }
  Result<std::vector<EventGroup>> read_events(Uuid run, std::int64_t after, int limit) override {
    return read([&](Connection& c) { return read_groups(c, run, after, limit); });
  }
  Result<std::vector<FeedGroup>> read_feed(std::int64_t after, int limit) override {
    return read([&](Connection& c) { return read_feed_page(c, after, limit); });
  }
  Result<std::int64_t> feed_end() override {
    return read([](Connection& c) { return read_number(c, "SELECT max(position) FROM events"); });
  }
  Result<std::vector<RunRow>> list_runs(const RunQuery& query) override {
    return read([&](Connection& c) { return read_run_list(c, query); });
  }
  Status each_open_run(const std::function<bool(StoredRun)>& visit) override;
  Result<std::int64_t> max_run_number() override {
    return read([](Connection& c) { return read_number(c, "SELECT max(number) FROM runs"); });
  }
  Result<std::optional<Record>> get_record(std::string_view kind, std::string_view key) override {
    return read([&](Connection& c) { return read_record(c, kind, key); });
  }
  Result<std::vector<Record>> list_records(std::string_view kind, std::string_view prefix,
                                           std::string_view after, int limit) override {
    return read([&](Connection& c) { return read_records(c, kind, prefix, after, limit); });
  }
  Result<std::optional<Receipt>> get_receipt(std::string_view scope,
                                             std::string_view key) override {
    return read([&](Connection& c) { return read_receipt(c, scope, key); });
  }

 private:
  template <class Ask>
  auto read(const Ask& ask) -> decltype(ask(std::declval<Connection&>())) {
    Result<Readers::Loan> loan = readers_.borrow();
    if (!loan) return loan.error();
    return ask(**loan);
  }
  template <class Change>
  Status write(const Change& change);
  template <class Change>
  Result<std::int64_t> write_counted(const Change& change) {
    std::int64_t count = 0;
    Status written = write([&](Connection& connection, Progress&) -> Status {
      const Result<std::int64_t> changed = change(connection);
      if (!changed) return changed.error();
      count = *changed;
      return {};
    });
    if (!written) return written.error();
    return count;
  }
  // Opens the writer when there is none. Requires: write_mutex_ is held, as for all below.
  Status ensure_writer();
  Status write_once(const std::function<Status(Connection&, Progress&)>& change);
  // Errors: data_folder: commits are missing.
  Status check_whole();
  Status read_reached();
  void checkpoint(int mode);

  const std::string folder_;
  const Fd lock_;  // -1: read-only
  Readers readers_;
  std::mutex write_mutex_;              // guards everything below
  std::unique_ptr<Connection> writer_;  // null: to be opened anew, what is held was doubtful
  Progress reached_;                    // by commits that were made
  Mark mark_;
  int wal_pages_ = 0;  // in the log since it was last begun anew
  int checkpoint_at_ = kCheckpointPages;
};

Status SqliteStore::ensure_writer() {
  if (writer_) return {};
  if (!lock_) return Error{Code::store_failed, "the store is open for reading only", {}};
  auto opened = Connection::open(database_path(folder_), Connection::Mode::write);
  if (!opened) return opened.error();
  if (Status set = (*opened)->run(kWriterSettings); !set) return set;
  sqlite3_wal_hook((*opened)->get(),
                   [](void* pages, sqlite3*, const char*, int now) {
                     *static_cast<int*>(pages) = now;
                     return SQLITE_OK;
                   },
                   &wal_pages_);
  writer_ = std::move(*opened);
  return {};
}

Status SqliteStore::start_writing() {
  const std::lock_guard lock(write_mutex_);
  if (Status opened = ensure_writer(); !opened) return opened;
  if (Status whole = check_whole(); !whole) {
    writer_.reset();  // nothing may be written now, not even a checkpoint
    return whole;
  }
  Status migrated = apply_missing(*writer_, sqlite_migrations(), system_clock().now());
  if (!migrated) return migrated;
  return read_reached();
}

Status SqliteStore::check_whole() {
  const Result<bool> backup = is_backup(*writer_);
  if (!backup) return backup.error();
  if (*backup) {
    drop_mark(folder_);
    return forget_backup(*writer_);
  }
  const Result<Progress> found = read_progress(*writer_);
  if (!found) return found.error();
  return check_mark(folder_, read_mark(folder_), *found);
}

Status SqliteStore::read_reached() {
  const Result<Progress> found = read_progress(*writer_);
  if (!found) return found.error();
  reached_ = *found;
  return {};
}

Status SqliteStore::start_reading() {
  const Result<int> version =
      read([](Connection& c) { return check_applied(c, sqlite_migrations()); });
  if (!version) return version.error();
  note_newer_schema(*version, sqlite_migrations());
  if (*version < static_cast<int>(sqlite_migrations().size()))
    return Error{Code::data_folder,
                 "maestro.db has an older schema than this build; `maestro migrate up` mends it",
                 {}};
  return {};
}

template <class Change>
Status SqliteStore::write(const Change& change) {
  const std::lock_guard lock(write_mutex_);
  if (!writer_) {
    if (Status ready = ensure_writer(); !ready) return ready;
    // A commit whose answer was lost may have been made all the same.
    if (Status read = read_reached(); !read) {
      writer_.reset();  // else the next write would build on a position that is out of date
      return read;
    }
  }
  if (wal_pages_ >= checkpoint_at_) checkpoint(SQLITE_CHECKPOINT_PASSIVE);
  return write_once(change);
}

Status SqliteStore::write_once(const std::function<Status(Connection&, Progress&)>& change) {
  Progress reached = reached_;
  bool doubtful = false;
  Status result = [&]() -> Status {
    MC_FAULT_POINT("commit.begin");
    Transaction transaction(*writer_, "BEGIN IMMEDIATE");
    Status written = transaction.begun();
    if (written) written = change(*writer_, reached);
    MC_FAULT_POINT("commit.before");
    if (written) written = transaction.commit();
    MC_FAULT_POINT("commit.after");
    doubtful = !written && written.error().code != Code::conflict && writer_->is_doubtful();
    return written;
  }();
  if (result && reached != reached_) {
    reached_ = reached;
    mark_.set(reached_);
  }
  if (doubtful || writer_->in_transaction()) writer_.reset();
  return result;
}

void SqliteStore::checkpoint(int mode) {
  int in_log = 0;
  int moved = 0;
  MC_FAULT_POINT("checkpoint.before");
  const int code = sqlite3_wal_checkpoint_v2(writer_->get(), nullptr, mode, &in_log, &moved);
  MC_FAULT_POINT("checkpoint.after");
  // What readers still look at stays in the log; it is tried again when as much has come on top.
  const bool whole = code == SQLITE_OK && moved == in_log;
  checkpoint_at_ = kCheckpointPages + (whole ? 0 : wal_pages_);
  if (whole) wal_pages_ = 0;
}

void SqliteStore::idle() {
  const std::lock_guard lock(write_mutex_);
  if (!writer_ || wal_pages_ < kIdleCheckpointPages) return;
  sqlite3_busy_timeout(writer_->get(), kIdleBusyMs);
  checkpoint(SQLITE_CHECKPOINT_TRUNCATE);
  sqlite3_busy_timeout(writer_->get(), Connection::kBusyMs);
}

Status SqliteStore::each_open_run(const std::function<bool(StoredRun)>& visit) {
  OpenPlace place;
  for (;;) {
    // Page by page: a long look at one moment would hold back every checkpoint.
    const Result<std::vector<Uuid>> page =
        read([&](Connection& c) { return read_open_runs(c, place, kOpenRunsAtOnce); });
    if (!page) return page.error();
    for (const Uuid id : *page) {
      Result<std::optional<StoredRun>> run = load_run(id);
      if (!run) return run.error();
      if (!*run || (*run)->row.finished_at) continue;
      if (!visit(std::move(**run))) return {};
    }
    if (page->size() < kOpenRunsAtOnce) return {};
  }
}

// What goes wrong on opening is about the folder, whatever the database calls it.
Error about_folder(const std::string& folder, const Error& error) {
  if (error.code == Code::data_folder) return error;
  return {Code::data_folder, "cannot open " + database_path(folder) + ": " + error.message, {}};
}
}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const SqliteOptions& options) {
  const bool make = options.create && !options.read_only;
  Fd lock;
  if (!options.read_only) {
    if (Status ready = prepare_files(options.folder, make); !ready) return ready.error();
    Result<Fd> locked = lock_folder(options.folder);
    if (!locked) return locked.error();
    lock = std::move(*locked);
  } else if (Status ready = prepare_files(options.folder, false); !ready) {
    return ready.error();
  }
  auto store = std::make_unique<SqliteStore>(options.folder, std::move(lock));
  Status started = options.read_only ? store->start_reading() : store->start_writing();
  if (!started) return about_folder(options.folder, started.error());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace mc::db
