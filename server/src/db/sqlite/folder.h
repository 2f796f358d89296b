// The files of a SQLite store in its data folder: maestro.db (with -wal and -shm beside it) and the
// lock that keeps a second server out.
#pragma once

#include <string>

#include "base/error.h"
#include "base/file.h"

namespace mc::db {

inline constexpr const char* kDatabaseFile = "maestro.db";
inline constexpr const char* kLockFile = "lock";

std::string database_path(const std::string& folder);

// Makes the folder (0700) and the database file (0600) when they are missing and `create` says so.
// Errors: data_folder: missing, no folder, not to be written, or the file is no SQLite database.
// Requires: this process has no connection to the file (closing another descriptor of it would drop
// SQLite's locks).
Status prepare_files(const std::string& folder, bool create);

// Refuses a maestro.db that lacks its end while there is no log that could hold it: what SQLite
// reads beyond the end of a file is zero, and taken for data. Errors: data_folder.
// Requires: as prepare_files, which does this too.
Status check_size(const std::string& folder);

// Held as long as the descriptor is open. Errors: data_folder, naming the process that holds it.
Result<Fd> lock_folder(const std::string& folder);

}  // namespace mc::db
