// Brings the schema of a PostgreSQL database to a version, one step a transaction, under a lock of
// the database, so that any number of servers may start at once. Steps are files of
// db/migrations/postgres, built in; the table schema_migrations keeps a checksum of each that was
// taken, and whether it was finished.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "db/migration.h"
#include "db/postgres/connection.h"

namespace mc::db {

// All steps that this build knows, oldest first.
std::span<const Migration> postgres_migrations();

// For `maestro migrate`. Status waits for who migrates no longer than for any lock, the others as
// long as it takes. Errors: as open_postgres_store; up: a step that failed leaves the schema at the
// one before it; down: there is none, it cannot be taken back, or it would lose data (the first
// step, as long as there is any run or record).
Result<SchemaStatus> migrate_status(const PostgresSettings& settings);
Result<SchemaStatus> migrate_up(const PostgresSettings& settings);
Result<SchemaStatus> migrate_down(const PostgresSettings& settings);

namespace pg {

// Settings for a connection that migrates: others may be at it for long.
PostgresSettings patient(PostgresSettings settings);

// Those that the schema has taken, oldest first; none in an empty schema. Errors: store_failed: a
// step was not finished, or the tables are another program's.
Result<std::vector<AppliedMigration>> read_applied(Connection& connection);

// Whether a build that knows these steps may work on the schema (check_schema); answers how many
// steps it has taken. Errors: store_failed: a newer build's alone, a step was edited; as
// read_applied.
Result<int> check_applied(Connection& connection, std::span<const Migration> known);

// Whether somebody changes the schema at this moment, who may need long. Errors: store_failed.
Result<bool> is_changing(Connection& connection);

// As check_applied, once nobody changes the schema. Requires and errors: as apply_missing.
Result<int> wait_for_change(Connection& connection, std::span<const Migration> known);

// Takes every step that is missing, none when the schema is newer. Requires: the connection was
// made with patient settings. Errors: as check_applied; store_failed.
Status apply_missing(Connection& connection, std::span<const Migration> known);

// Takes the last step back, unless it is a newer build's. Requires and errors: as apply_missing and
// migrate_down.
Status take_back_last(Connection& connection, std::span<const Migration> known);

// One transaction that holds the schema's lock; `change` runs inside it, what fails is rolled back.
// Requires: as apply_missing. Errors: those of `change`; store_failed.
Status change_schema(Connection& connection, const std::function<Status()>& change);

// Held to the end of the transaction by who changes tables.
Statement schema_lock();

}  // namespace pg
}  // namespace mc::db
