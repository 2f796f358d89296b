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

Status apply(Connection& connection, const Migration& step, Instant now) {
  Transaction transaction(connection, "BEGIN IMMEDIATE");
  if (!transaction.begun()) return transaction.begun();
  if (Status done = connection.run(std::string(step.up)); !done) return done;
  const std::string checksum = sha256_hex(step.up);
  Status noted = Query(connection,
                       "INSERT INTO schema_migrations (version, name, checksum, applied_at) "
                       "VALUES (?, ?, ?, ?)",
                       step.version, step.name, checksum, now)
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
  Query q(connection,
          "SELECT version, name, checksum, applied_at FROM schema_migrations ORDER BY version");
  while (q.next())
    applied.push_back({static_cast<int>(q.integer(0)), q.text(1), q.text(2), q.instant(3)});
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
  if (applied->size() > known.size()) {
    return refused("maestro.db has schema version " + std::to_string(applied->back().version) +
                   ", this build knows up to " + std::to_string(known.size()) +
                   ": a newer maestro wrote it; use that one, or restore a backup from before");
  }
  for (std::size_t i = 0; i < applied->size(); ++i) {
    const AppliedMigration& taken = (*applied)[i];
    if (taken.version != known[i].version || taken.checksum != sha256_hex(known[i].up)) {
      return refused("migration " + std::to_string(taken.version) + " (" + taken.name +
                     ") is not the one that maestro.db was made with: this build or the file was "
                     "tampered with; use an official build, or restore a backup");
    }
  }
  return static_cast<int>(applied->size());
}

Status apply_missing(Connection& connection, std::span<const Migration> known, Instant now) {
  const Result<int> applied = check_applied(connection, known);
  if (!applied) return applied.error();
  const auto first = static_cast<std::size_t>(*applied);
  if (first == known.size()) return {};
  if (Status made = Query(connection, kTable).run(); !made) return made;
  for (std::size_t i = first; i < known.size(); ++i) {
    if (Status done = apply(connection, known[i], now); !done) return done;
  }
  return {};
}

Status take_back_last(Connection& connection, std::span<const Migration> known) {
  const Result<int> applied = check_applied(connection, known);
  if (!applied) return applied.error();
  if (*applied == 0) return refused("no migration has been applied");
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
