#include "db/sqlite/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"

namespace mc::db {
namespace {
constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr ssize_t kHeadBytes = 32;  // of what SQLite writes first: page size, number of pages
constexpr std::string_view kMagic("SQLite format 3\0", 16);

Error refused(std::string message) { return {Code::data_folder, std::move(message), {}}; }

std::string explain(int number) {
  switch (number) {
    case EACCES:
    case EPERM: return "may not be written; chown it to the user who runs maestro";
    case EROFS: return "is on a disk mounted read-only; mount it for writing";
    case ENOSPC:
    case EDQUOT: return "is on a full disk; make room";
    case ENOTDIR: return "is no folder; give another with --data";
    default: break;
  }
  errno = number;
  return os_error(Code::data_folder, "cannot be used").message;
}

Status check_folder(const std::string& folder, bool create) {
  if (create && ::mkdir(folder.c_str(), kFolderMode) != 0 && errno != EEXIST) {
    const int number = errno;
    if (number == ENOENT)
      return refused("the folder above " + folder + " does not exist; make it first");
    return refused("the data folder " + folder + " " + explain(number));
  }
  struct stat info{};
  if (::stat(folder.c_str(), &info) != 0) {
    if (errno == ENOENT)
      return refused("there is no data folder " + folder + "; `maestro up --data` makes one");
    return refused("the data folder " + folder + " " + explain(errno));
  }
  if (!S_ISDIR(info.st_mode)) return refused(folder + " is no folder; give another with --data");
  return {};
}
}  // namespace

std::string database_path(const std::string& folder) { return folder + "/" + kDatabaseFile; }

Status prepare_files(const std::string& folder, bool create) {
  if (Status checked = check_folder(folder, create); !checked) return checked;
  const std::string path = database_path(folder);
  const int flags = O_CLOEXEC | (create ? O_RDWR | O_CREAT : O_RDONLY);
  const Fd fd(::open(path.c_str(), flags, kFileMode));
  if (!fd) {
    if (errno == ENOENT)
      return refused(folder + " holds no maestro.db; `maestro up --data` makes one");
    return refused(path + " " + explain(errno));
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return refused(path + " " + explain(errno));
  if (!S_ISREG(info.st_mode)) return refused(path + " is no file; move it away");
  if (info.st_size == 0) return {};
  char head[kMagic.size()] = {};
  const ssize_t n = ::pread(fd.get(), head, sizeof(head), 0);
  if (n != static_cast<ssize_t>(sizeof(head)) || std::string_view(head, sizeof(head)) != kMagic)
    return refused(path + " is no database or is damaged; restore a backup, or move it away");
  return check_size(folder);
}

Status check_size(const std::string& folder) {
  const std::string path = database_path(folder);
  struct stat log{};
  if (::stat((path + "-wal").c_str(), &log) == 0 && log.st_size > 0) return {};
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<unsigned char, kHeadBytes> head{};
  struct stat info{};
  if (!fd || ::fstat(fd.get(), &info) != 0) return refused(path + " " + explain(errno));
  if (::pread(fd.get(), head.data(), head.size(), 0) != kHeadBytes) return {};
  const std::int64_t page = head[16] * 256 + head[17];  // 1 stands for 65536
  std::int64_t pages = 0;
  for (std::size_t i = 28; i < 32; ++i) pages = pages * 256 + head[i];
  const std::int64_t whole = pages * (page == 1 ? 65'536 : page);
  if (info.st_size >= whole) return {};
  return refused(path + " was cut: it has " + std::to_string(info.st_size) + " bytes of " +
                 std::to_string(whole) + "; restore a backup");
}

Result<Fd> lock_folder(const std::string& folder) {
  const std::string path = folder + "/" + kLockFile;
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode));
  if (!fd) return refused(path + " " + explain(errno));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return refused(path + " " + explain(errno));
    const Result<std::string> holder = read_file(path, 64);
    const std::string pid = holder ? std::string(trim(*holder)) : "";
    return refused("another maestro uses the data folder " + folder +
                   (pid.empty() ? "" : ": process " + pid) +
                   "; stop it, or give another folder with --data");
  }
  if (::ftruncate(fd.get(), 0) == 0) (void)write_all(fd.get(), std::to_string(::getpid()) + "\n");
  return fd;
}

}  // namespace mc::db
