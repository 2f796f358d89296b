// The store that `maestro up` uses: one SQLite file in a data folder, for one server at a time.
// docs/internals/store.md describes the file and what a crash can leave.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "db/migration.h"
#include "db/store.h"

namespace mc::db {

struct SqliteOptions {
  std::string folder;
  bool create = true;      // make what is missing, and bring the schema up to this build's
  bool read_only = false;  // looks at the files while a server may be writing them
};

// Errors: data_folder, saying what is wrong and how to mend it: missing, in use (with the process),
// not writable, full, damaged, or written by a newer version.
Result<std::unique_ptr<Store>> open_sqlite(const SqliteOptions& options);

// The next three work on a folder that no server holds. Errors: data_folder, store_failed.
Result<SchemaStatus> migrate_status(const std::string& folder);
Result<SchemaStatus> migrate_up(const std::string& folder);
Result<SchemaStatus> migrate_down(const std::string& folder);

// Copies the store into the file `target`, whole and of one moment, while a server may be writing.
// Errors: data_folder (target exists or cannot be written), store_failed.
Status backup_sqlite(const std::string& folder, const std::string& target);

// Reads every page and index: what is wrong, one line each; none: all is well. Slow for big files.
// Errors: data_folder, store_failed.
Result<std::vector<std::string>> check_sqlite(const std::string& folder);

// How many rows each table has, also while a server is writing. Errors: data_folder, store_failed.
struct TableSize {
  std::string table;
  std::int64_t rows = 0;
};
Result<std::vector<TableSize>> table_sizes(const std::string& folder);

}  // namespace mc::db
