#include "db/sqlite/migrate.h"

#include "base/fault.h"
#include "base/sha256.h"

namespace mc::db {
namespace {
constexpr std::string_view kTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, "
    "applied_at INTEGER NOT NULL) STRICT";

Error refused(std::string message) { return {Code::data_folder, std::move(message), {}}; }

Result<bool> has_rows(Connection& connection, std::string_view sql) {
  Query q(connection, sql);
  const bool any = q.next();
  if (q.failed()) return q.error();
  return any;
}

Result<bool> has_table(Connection& connection) {
  return has_rows(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'");
}

// Builds of before did not have it, and read and write the others by name.
Result<bool> has_oldest(Connection& connection) {
  return has_rows(connection,
                  "SELECT 1 FROM pragma_table_info('schema_migrations') WHERE name = 'oldest'");
}

Status make_table(Connection& connection) {
  if (Status made = Query(connection, kTable).run(); !made) return made;
  const Result<bool> there = has_oldest(connection);
  if (!there) return there.error();
  return *there ? Status()
                : connection.run("ALTER TABLE schema_migrations ADD COLUMN oldest INTEGER");
}

Status apply(Connection& connection, const Migration& step, Instant now) {
  Transaction transaction(connection, "BEGIN IMMEDIATE");
  if (!transaction.begun()) return transaction.begun();
  if (Status done = connection.run(std::string(step.up)); !done) return done;
  const std::string checksum = sha256_hex(step.up);
  Status noted = Query(connection,
                       "INSERT INTO schema_migrations (version, name, checksum, applied_at, "
                       "oldest) VALUES (?, ?, ?, ?, ?)",
                       step.version, step.name, checksum, now, step.oldest)
                     .run();
  if (!noted) return noted;
  MC_FAULT_POINT("migration.before");
  if (Status done = transaction.commit(); !done) return done;
  MC_FAULT_POINT("migration.after");
  return {};
}
}  // namespace

Result<std::vector<AppliedMigration>> read_applied(Connection& connection) {
  std::vector<AppliedMigration> applied;
  const Result<bool> any = has_table(connection);
  if (!any) return any.error();
  if (!*any) return applied;
  const Result<bool> oldest = has_oldest(connection);
  if (!oldest) return oldest.error();
  Query q(connection, "SELECT version, name, checksum, applied_at, " +
                          std::string(*oldest ? "oldest" : "NULL") +
                          " FROM schema_migrations ORDER BY version");
  while (q.next())
    applied.push_back({static_cast<int>(q.integer(0)), q.text(1), q.text(2), q.instant(3),
                       static_cast<int>(q.integer(4))});
  if (q.failed()) return q.error();
  return applied;
}

Result<int> check_applied(Connection& connection, std::span<const Migration> known) {
  const Result<std::vector<AppliedMigration>> applied = read_applied(connection);
  if (!applied) return applied.error();
  if (applied->empty()) {
    const Result<bool> foreign =
        has_rows(connection, "SELECT 1 FROM sqlite_schema WHERE name <> 'schema_migrations'");
    if (!foreign) return foreign.error();
    if (*foreign)
      return refused("maestro.db holds tables of another program; give another data folder");
  }
  return check_schema(known, *applied, "maestro.db", Code::data_folder);
}

Status apply_missing(Connection& connection, std::span<const Migration> known, Instant now) {
  const Result<int> applied = check_applied(connection, known);
  if (!applied) return applied.error();
  const auto first = static_cast<std::size_t>(*applied);
  if (first >= known.size()) return {};
  if (Status made = make_table(connection); !made) return made;
  for (std::size_t i = first; i < known.size(); ++i) {
    if (Status done = apply(connection, known[i], now); !done) return done;
  }
  return {};
}

Status take_back_last(Connection& connection, std::span<const Migration> known) {
  const Result<int> applied = check_applied(connection, known);
  if (!applied) return applied.error();
  if (*applied == 0) return refused("no migration has been applied");
  if (static_cast<std::size_t>(*applied) > known.size())
    return refused("migration " + std::to_string(*applied) +
                   " is a newer maestro's: take it back with that one");
  const Migration& last = known[static_cast<std::size_t>(*applied) - 1];
  if (last.down.empty()) {
    return refused("migration " + std::to_string(last.version) +
                   " cannot be taken back; restore a backup from before it");
  }
  if (last.version == 1) {
    const Result<bool> any =
        has_rows(connection, "SELECT 1 FROM runs UNION ALL SELECT 1 FROM records LIMIT 1");
    if (!any) return any.error();
    if (*any)
      return refused("the first migration is everything there is: remove the folder instead");
  }
  Transaction transaction(connection, "BEGIN IMMEDIATE");
  if (!transaction.begun()) return transaction.begun();
  if (Status done = connection.run(std::string(last.down)); !done) return done;
  Status noted =
      Query(connection, "DELETE FROM schema_migrations WHERE version = ?", last.version).run();
  if (!noted) return noted;
  return transaction.commit();
}

}  // namespace mc::db
