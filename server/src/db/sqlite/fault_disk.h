// Only in a build with MC_FAULTS (base/fault.h): makes points of what SQLite does to its files.
//   wal.write, wal.torn, wal.sync   before a write to the log, in its middle, before its sync
//   db.write, db.torn, db.sync      the same for maestro.db, which checkpoints write
#pragma once

namespace mc::db {
#ifdef MC_FAULTS
// For all connections that are opened from now on. May be called again. Any thread.
void use_fault_disk();
#else
inline void use_fault_disk() {}
#endif
}  // namespace mc::db
