// The default store: one SQLite file in the data folder (WAL, synchronous=FULL). docs/internals/store.md
// has the files and what a crash leaves.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "db/store.h"

namespace mc::db {

struct OpenOptions {
  std::string folder;
  bool create = true;   // false: the database must be there
  bool migrate = true;  // false: an older schema is refused instead of brought up to date
};

// Takes the folder's lock for as long as the store lives. Errors: data_folder, saying what is wrong
// with the folder and how to mend it: in use, read-only, full, not a database, of a newer version.
Result<std::unique_ptr<Store>> open_sqlite(const OpenOptions& options);

struct MigrationState {
  int version = 0;
  std::string name;
  Instant applied_at;  // 0: not applied
};
// All take the folder's lock. Errors: data_folder.
Result<std::vector<MigrationState>> migration_status(const std::string& folder);
Status migrate_up(const std::string& folder);
// Undoes the newest migration.
Status migrate_down(const std::string& folder);
// SQLite's own check of the whole file (PRAGMA quick_check).
Status check_database(const std::string& folder);
// A consistent copy while the server may be running. Errors: data_folder.
Status backup_database(const std::string& folder, const std::string& to);

}  // namespace mc::db
