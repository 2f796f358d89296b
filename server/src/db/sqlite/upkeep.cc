// What an operator does to the file: migrations, backup, check.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "db/sqlite/folder.h"
#include "db/sqlite/mark.h"
#include "db/sqlite/migrate.h"
#include "db/sqlite/sqlite_store.h"
#include "db/sqlite/write.h"

namespace mc::db {
namespace {
constexpr int kPagesAtOnce = 1024;
constexpr int kProblemsMax = 100;

struct Held {
  Fd lock;
  std::unique_ptr<Connection> connection;
};

Result<Held> hold(const std::string& folder, bool create) {
  if (Status ready = prepare_files(folder, create); !ready) return ready.error();
  Result<Fd> lock = lock_folder(folder);
  if (!lock) return lock.error();
  auto connection = Connection::open(database_path(folder), Connection::Mode::write);
  if (!connection) return connection.error();
  return Held{std::move(*lock), std::move(*connection)};
}

Result<SchemaStatus> status_of(Connection& connection) {
  const std::span<const Migration> known = sqlite_migrations();
  const Result<std::vector<AppliedMigration>> applied = read_applied(connection);
  if (!applied) return applied.error();
  return status_of(known, *applied);
}

Status copy_pages(Connection& from, Connection& to) {
  sqlite3_backup* copy = sqlite3_backup_init(to.get(), "main", from.get(), "main");
  if (copy == nullptr) return to.last_error();
  // The reader's transaction keeps the source at one moment, so no step starts anew.
  int code = SQLITE_OK;
  while (code == SQLITE_OK) code = sqlite3_backup_step(copy, kPagesAtOnce);
  const int finished = sqlite3_backup_finish(copy);
  if (code == SQLITE_DONE && finished == SQLITE_OK) return {};
  return to.last_error();
}

Status sync_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return os_error(Code::store_failed, "cannot sync " + path);
  return {};
}
}  // namespace

Result<SchemaStatus> migrate_status(const std::string& folder) {
  if (Status ready = prepare_files(folder, false); !ready) return ready.error();
  auto connection = Connection::open(database_path(folder), Connection::Mode::read);
  if (!connection) return connection.error();
  return status_of(**connection);
}

Result<SchemaStatus> migrate_up(const std::string& folder) {
  Result<Held> held = hold(folder, true);
  if (!held) return held.error();
  Connection& connection = *held->connection;
  Status done = apply_missing(connection, sqlite_migrations(), system_clock().now());
  if (!done) return done.error();
  return status_of(connection);
}

Result<SchemaStatus> migrate_down(const std::string& folder) {
  Result<Held> held = hold(folder, false);
  if (!held) return held.error();
  Connection& connection = *held->connection;
  if (Status done = take_back_last(connection, sqlite_migrations()); !done) return done.error();
  Result<SchemaStatus> status = status_of(connection);
  // With the first migration its counters are gone too.
  if (status && status->schema == 0) drop_mark(folder);
  return status;
}

Status backup_sqlite(const std::string& folder, const std::string& target) {
  const std::string path = database_path(folder);
  if (::access(path.c_str(), R_OK) != 0) return os_error(Code::data_folder, "cannot read " + path);
  if (::access(target.c_str(), F_OK) == 0)
    return Error{Code::data_folder, target + " exists; give another place", {}};
  const std::string partial = target + ".partial";
  (void)::unlink(partial.c_str());
  {
    const Fd made(::open(partial.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!made) return os_error(Code::data_folder, "cannot create " + partial);
  }
  Status copied = [&]() -> Status {
    auto from = Connection::open(path, Connection::Mode::read);
    if (!from) return from.error();
    auto to = Connection::open(partial, Connection::Mode::write);
    if (!to) return to.error();
    const Transaction moment(**from, "BEGIN");
    if (!moment.begun()) return moment.begun();
    if (Status copied = copy_pages(**from, **to); !copied) return copied;
    if (Status noted = note_backup(**to); !noted) return noted;
    return (*to)->run("PRAGMA journal_mode = DELETE");
  }();
  if (copied) copied = sync_file(partial);
  if (copied && std::rename(partial.c_str(), target.c_str()) != 0)
    copied = os_error(Code::data_folder, "cannot create " + target);
  if (!copied) (void)::unlink(partial.c_str());
  return copied;
}

Result<std::vector<std::string>> check_sqlite(const std::string& folder) {
  const std::string path = database_path(folder);
  if (::access(path.c_str(), R_OK) != 0) return os_error(Code::data_folder, "cannot read " + path);
  if (Status whole = check_size(folder); !whole) return whole.error();
  const std::optional<Progress> mark = read_mark(folder);
  auto connection = Connection::open(path, Connection::Mode::read);
  if (!connection) return connection.error();
  std::vector<std::string> problems;
  const Result<Progress> found = read_progress(**connection);
  if (!found) return found.error();
  // A server may have gone on since: the mark is read first.
  const Result<bool> backup = is_backup(**connection);
  if (!backup) return backup.error();
  if (Status whole = check_mark(folder, *backup ? std::nullopt : mark, *found); !whole)
    problems.push_back(whole.error().message);
  const std::string sql = "PRAGMA integrity_check(" + std::to_string(kProblemsMax) + ")";
  Query q(**connection, sql);
  while (q.next()) {
    if (q.view(0) != "ok") problems.push_back(q.text(0));
  }
  if (q.failed()) return q.error();
  return problems;
}

Result<std::vector<TableSize>> table_sizes(const std::string& folder) {
  auto connection = Connection::open(database_path(folder), Connection::Mode::read);
  if (!connection) return connection.error();
  std::vector<TableSize> sizes;
  {
    Query tables(**connection, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    while (tables.next()) sizes.push_back({tables.text(0), 0});
    if (tables.failed()) return tables.error();
  }
  for (TableSize& size : sizes) {
    const std::string sql = "SELECT count(*) FROM \"" + size.table + "\"";
    Query count(**connection, sql);
    if (count.next()) size.rows = count.integer(0);
    if (count.failed()) return count.error();
  }
  return sizes;
}

}  // namespace mc::db
