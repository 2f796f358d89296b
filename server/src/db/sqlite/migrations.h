// Numbered steps of the schema. A step that has shipped is never edited: its checksum is stored beside
// it and compared at every start.
#pragma once

#include <string_view>
#include <vector>

#include "db/sqlite/connection.h"
#include "db/sqlite/sqlite_store.h"

namespace mc::db {

struct Migration {
  int version;
  std::string_view name;
  std::string_view up;
  std::string_view down;
};
const std::vector<Migration>& migrations();

// The newest version that is applied, 0 for none. Errors: data_folder: edited, or newer than this program.
Result<int> schema_version(Connection& connection);
// Each step in a transaction of its own.
Status apply_migrations(Connection& connection, Instant now);
Status undo_migration(Connection& connection);
Result<std::vector<MigrationState>> migration_states(Connection& connection);

}  // namespace mc::db
