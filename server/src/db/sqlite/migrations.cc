#include "db/sqlite/migrations.h"

#include "base/sha256.h"

namespace mc::db {
namespace {
// Runs as rows that lists show, their events as an append-only log, small documents, receipts.
// Needs SQLite 3.24 (upsert).
constexpr std::string_view kFirstUp = R"sql(
CREATE TABLE events (
  position INTEGER PRIMARY KEY,
  run BLOB NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
  time INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE UNIQUE INDEX events_by_run ON events(run, first_seq);
CREATE TABLE runs (
  id BLOB PRIMARY KEY,
  number INTEGER NOT NULL, project TEXT NOT NULL, workflow TEXT NOT NULL, status INTEGER NOT NULL,
  reason INTEGER NOT NULL, trigger INTEGER NOT NULL, actor TEXT NOT NULL, ref TEXT NOT NULL,
  commit_id TEXT NOT NULL, run_key TEXT NOT NULL, parent BLOB NOT NULL, rerun_of BLOB NOT NULL,
  created_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, deleted_at INTEGER NOT NULL,
  last_seq INTEGER NOT NULL, labels TEXT NOT NULL, json TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX runs_by_number ON runs(project, number) WHERE deleted_at = 0;
CREATE INDEX runs_by_status ON runs(project, status, number) WHERE deleted_at = 0;
CREATE INDEX runs_by_workflow ON runs(project, workflow, number) WHERE deleted_at = 0;
CREATE INDEX runs_open ON runs(number) WHERE finished_at = 0;
CREATE INDEX runs_by_key ON runs(project, run_key, number) WHERE run_key <> '';
CREATE INDEX runs_by_parent ON runs(parent) WHERE length(parent) > 0;
CREATE INDEX runs_deleted ON runs(deleted_at) WHERE deleted_at <> 0;
CREATE TABLE run_labels (
  name TEXT NOT NULL, value TEXT NOT NULL, number INTEGER NOT NULL, run BLOB NOT NULL,
  PRIMARY KEY (name, value, number, run)) WITHOUT ROWID;
CREATE INDEX run_labels_by_run ON run_labels(run);
CREATE TABLE snapshots (run BLOB PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE records (
  kind TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL, version INTEGER NOT NULL,
  PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE receipts (
  scope TEXT NOT NULL, key TEXT NOT NULL, request_digest TEXT NOT NULL, status INTEGER NOT NULL,
  location TEXT NOT NULL, body TEXT NOT NULL, created_at INTEGER NOT NULL,
  PRIMARY KEY (scope, key)) WITHOUT ROWID;
CREATE INDEX receipts_by_age ON receipts(created_at);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
)sql";
constexpr std::string_view kFirstDown = R"sql(
DROP TABLE counters; DROP TABLE receipts; DROP TABLE records; DROP TABLE snapshots;
DROP TABLE run_labels; DROP TABLE runs; DROP TABLE events;
)sql";

Error trouble(Connection& connection, std::string_view what) {
  return Error{Code::data_folder, std::string(what) + ": " + connection.message(), {}};
}

Status in_transaction(Connection& connection, const std::string& sql, std::string_view what) {
  if (connection.execute("BEGIN IMMEDIATE") != SQLITE_OK) return trouble(connection, what);
  if (connection.execute(sql.c_str()) != SQLITE_OK || connection.execute("COMMIT") != SQLITE_OK) {
    const Error error = trouble(connection, what);
    connection.execute("ROLLBACK");
    return error;
  }
  return {};
}
}  // namespace

const std::vector<Migration>& migrations() {
  static const std::vector<Migration> kMigrations = {{1, "runs_and_events", kFirstUp, kFirstDown}};
  return kMigrations;
}

Result<int> schema_version(Connection& connection) {
  const int made = connection.execute(
      "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT "
      "NULL,"
      " checksum TEXT NOT NULL, applied_at INTEGER NOT NULL)");
  if (made != SQLITE_OK) return trouble(connection, "cannot read the schema's version");
  int newest = 0;
  Query query =
      connection.query("SELECT version, checksum, name FROM schema_migrations ORDER BY version");
  while (query.step()) {
    newest = static_cast<int>(query.integer(0));
    const auto known = static_cast<std::size_t>(newest);
    if (known > migrations().size()) {
      return Error{Code::data_folder,
                   "the database has schema version " + std::to_string(newest) +
                       ", newer than the " + std::to_string(migrations().size()) +
                       " that this maestro knows: use the newer maestro",
                   {}};
    }
    if (query.text(1) != sha256_hex(migrations()[known - 1].up)) {
      return Error{Code::data_folder,
                   "migration " + std::to_string(newest) + " (" + query.text(2) +
                       ") was applied in another form: this database was made by another build",
                   {}};
    }
  }
  if (query.result() != SQLITE_DONE) return trouble(connection, "cannot read the schema's version");
  return newest;
}

Status apply_migrations(Connection& connection, Instant now) {
  const Result<int> version = schema_version(connection);
  if (!version) return version.error();
  for (const Migration& migration : migrations()) {
    if (migration.version <= *version) continue;
    const std::string sql = std::string(migration.up) + "INSERT INTO schema_migrations VALUES (" +
                            std::to_string(migration.version) + ", '" +
                            std::string(migration.name) + "', '" + sha256_hex(migration.up) +
                            "', " + std::to_string(now.ms) + ")";
    const Status done = in_transaction(connection, sql, "cannot bring the database up to date");
    if (!done) return done;
  }
  return {};
}

Status undo_migration(Connection& connection) {
  const Result<int> version = schema_version(connection);
  if (!version) return version.error();
  if (*version == 0) return Error{Code::data_folder, "no migration is applied", {}};
  const Migration& newest = migrations()[static_cast<std::size_t>(*version) - 1];
  const std::string sql =
      std::string(newest.down) +
      "DELETE FROM schema_migrations WHERE version = " + std::to_string(newest.version);
  return in_transaction(connection, sql, "cannot undo the migration");
}

Result<std::vector<MigrationState>> migration_states(Connection& connection) {
  if (const Result<int> version = schema_version(connection); !version) return version.error();
  std::vector<MigrationState> states;
  for (const Migration& migration : migrations()) {
    MigrationState state{migration.version, std::string(migration.name), {}};
    Query query = connection.query("SELECT applied_at FROM schema_migrations WHERE version = ?");
    query.bind(std::int64_t{migration.version});
    if (query.step()) state.applied_at = Instant{query.integer(0)};
    states.push_back(std::move(state));
  }
  return states;
}
}  // namespace mc::db
