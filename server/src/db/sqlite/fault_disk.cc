#include "db/sqlite/fault_disk.h"

#ifdef MC_FAULTS
#include <sqlite3.h>

#include <mutex>

#include "base/fault.h"

namespace mc::db {
namespace {
// The default disk's functions, with two replaced; a file keeps its own state.
struct Disk {
  const sqlite3_io_methods* real = nullptr;
  sqlite3_io_methods ours{};
};
Disk wal_disk;
Disk db_disk;
sqlite3_vfs* real_vfs = nullptr;

struct Names {
  const char *write, *torn, *sync;
};
constexpr Names kWal{"wal.write", "wal.torn", "wal.sync"};
constexpr Names kDb{"db.write", "db.torn", "db.sync"};

int write_torn(const Disk& disk, const Names& names, sqlite3_file* file, const void* bytes,
               int count, sqlite3_int64 at) {
  MC_FAULT_POINT(names.write);
  const int half = count / 2;
  const int first = disk.real->xWrite(file, bytes, half, at);
  if (first != SQLITE_OK) return first;
  MC_FAULT_POINT(names.torn);
  return disk.real->xWrite(file, static_cast<const char*>(bytes) + half, count - half, at + half);
}

int write_wal(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
  return write_torn(wal_disk, kWal, file, bytes, count, at);
}
int write_db(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 at) {
  return write_torn(db_disk, kDb, file, bytes, count, at);
}
int sync_wal(sqlite3_file* file, int flags) {
  MC_FAULT_POINT(kWal.sync);
  return wal_disk.real->xSync(file, flags);
}
int sync_db(sqlite3_file* file, int flags) {
  MC_FAULT_POINT(kDb.sync);
  return db_disk.real->xSync(file, flags);
}

// Every file of one kind has the same functions, so they are copied at the first of its kind.
void replace(Disk& disk, sqlite3_file* file, decltype(&write_wal) write, decltype(&sync_wal) sync) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (disk.real == nullptr) {
    disk.ours = *file->pMethods;
    disk.ours.xWrite = write;
    disk.ours.xSync = sync;
    disk.real = file->pMethods;
  }
  file->pMethods = &disk.ours;
}

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  const int code = real_vfs->xOpen(real_vfs, name, file, flags, out);
  if (code != SQLITE_OK || file->pMethods == nullptr) return code;
  if ((flags & SQLITE_OPEN_WAL) != 0) replace(wal_disk, file, write_wal, sync_wal);
  if ((flags & SQLITE_OPEN_MAIN_DB) != 0) replace(db_disk, file, write_db, sync_db);
  return code;
}
}  // namespace

void use_fault_disk() {
  static const int registered = [] {
    static sqlite3_vfs ours;
    real_vfs = sqlite3_vfs_find(nullptr);
    ours = *real_vfs;
    ours.zName = "fault";
    ours.pNext = nullptr;
    ours.xOpen = open;
    return sqlite3_vfs_register(&ours, 1);
  }();
  static_cast<void>(registered);
}

}  // namespace mc::db
#endif
