// A batch in SQL. Used inside one BEGIN IMMEDIATE transaction on the writer's connection.
#pragma once

#include <cstdint>

#include "db/sqlite/connection.h"
#include "db/sqlite/mark.h"
#include "db/store.h"

namespace mc::db {

// `position` is the last one given; it grows with each group. Errors: conflict, store_failed; the
// caller rolls back and forgets `position`.
Status write_batch(Connection& connection, const Batch& batch, std::int64_t& position);

// The highest position that was ever given.
Result<std::int64_t> last_position(Connection& connection);

// A commit without events, so that every commit leaves a trace in read_progress. `count`: of all.
Status count_quiet_commit(Connection& connection, std::int64_t count);
// All zero in a database without tables.
Result<Progress> read_progress(Connection& connection);

// Backups say that they are one, so that one put in the place of maestro.db is not taken for an
// accident (mark.h). Errors: store_failed.
Status note_backup(Connection& connection);
Status forget_backup(Connection& connection);
Result<bool> is_backup(Connection& connection);

Result<std::int64_t> delete_receipts(Connection& connection, Instant before, int limit);
Result<std::int64_t> delete_runs(Connection& connection, Instant before, int limit,
                                 const Store::Going& going);

}  // namespace mc::db
