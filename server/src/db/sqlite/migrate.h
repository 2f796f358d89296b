// Brings the schema of a SQLite file to a version, one step a transaction. Steps are files of
// db/migrations/sqlite, built in; the store keeps a checksum of each that it has taken.
#pragma once

#include <span>
#include <vector>

#include "db/migration.h"
#include "db/sqlite/connection.h"

namespace mc::db {

// All steps that this build knows, oldest first.
std::span<const Migration> sqlite_migrations();

// Those that the file has taken, oldest first; none for an empty file. Errors: store_failed.
Result<std::vector<AppliedMigration>> read_applied(Connection& connection);

// Whether a build that knows these steps may work on the file (check_schema); answers how many it
// has taken. Errors: data_folder: a newer build's alone, a step was edited, or this is not
// Maestro's.
Result<int> check_applied(Connection& connection, std::span<const Migration> known);

// Takes every step that is missing, none when the file is newer. Errors: as check_applied;
// store_failed, then the file is at the last step that went well.
Status apply_missing(Connection& connection, std::span<const Migration> known, Instant now);

// Takes the last step back. Errors: data_folder: there is none, it is a newer build's, it cannot be
// taken back, or it would lose data (the first step, as long as the file holds anything).
Status take_back_last(Connection& connection, std::span<const Migration> known);

}  // namespace mc::db
