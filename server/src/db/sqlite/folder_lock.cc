#include "db/sqlite/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace mc::db {
namespace {
Error trouble(const std::string& folder, int error) {
  std::string hint;
  if (error == EROFS) hint = ": it is on a read-only file system; choose another with --data";
  if (error == EACCES || error == EPERM)
    hint = ": this user may not write there; change its owner, or choose another with --data";
  if (error == ENOSPC || error == EDQUOT)
    hint = ": the disk is full; free some space, or choose another with --data";
  if (error == ENOENT) hint = "; create it, or choose another with --data";
  return Error{Code::data_folder,
               "the data folder " + folder + " cannot be used: " + std::strerror(error) + hint,
               {}};
}
}  // namespace

Status prepare_folder(const std::string& folder, bool create) {
  std::error_code error;
  if (create && !std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (error) return trouble(folder, error.value());
    ::chmod(folder.c_str(), 0700);
  }
  const std::string probe = folder + "/.probe";
  const int file = ::open(probe.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_TRUNC, 0600);
  if (file < 0) return trouble(folder, errno);
  const std::array<char, 4096> page{};
  const ssize_t written = ::write(file, page.data(), page.size());
  const int failed = written == static_cast<ssize_t>(page.size()) ? ::fsync(file) : -1;
  const int reason = errno;
  ::close(file);
  ::unlink(probe.c_str());
  if (failed != 0) return trouble(folder, reason == 0 ? ENOSPC : reason);
  return {};
}

Result<FolderLock> FolderLock::take(const std::string& folder) {
  const std::string path = folder + "/lock";
  const int file = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) return trouble(folder, errno);
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> pid{};
    const ssize_t size = ::read(file, pid.data(), pid.size() - 1);
    ::close(file);
    return Error{Code::data_folder,
                 "the data folder " + folder + " is in use by another maestro (pid " +
                     (size > 0 ? std::string(pid.data(), static_cast<std::size_t>(size))
                               : std::string("unknown")) +
                     "): stop it, or choose another folder with --data",
                 {}};
  }
  const std::string pid = std::to_string(::getpid());
  const bool noted = ::ftruncate(file, 0) == 0 &&
                     ::pwrite(file, pid.data(), pid.size(), 0) == static_cast<ssize_t>(pid.size());
  if (!noted) {
    const int reason = errno;
    ::close(file);
    return trouble(folder, reason);
  }
  return FolderLock(file);
}

FolderLock::~FolderLock() {
  if (file_ >= 0) ::close(file_);
}
}  // namespace mc::db
