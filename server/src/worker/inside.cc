#include "worker/inside.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "worker/workspace.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;

Error leads_out(const std::string& path) {
  return {Code::invalid_field, "the path " + path + " leads out of the workspace", {}};
}

// Beneath the open `folder`, following no link; -1 also where the kernel cannot promise that.
int open_beneath(int folder, const std::string& name, int flags, unsigned mode) {
  struct open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how));
}

Fd open_folder(const std::string& path) {
  return Fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

// `path` is absolute, resolved and below `root`: a link met on the way was put there just now.
int open_below(const std::string& root, const std::string& path, int flags, unsigned mode) {
  const Fd folder = open_folder(root);
  if (!folder) return -1;
  const std::string name = fs::path(path).lexically_relative(root).string();
  const int fd = open_beneath(folder.get(), name, flags, mode);
  // Kernels before 5.6, and filters of system calls that do not know it.
  if (fd < 0 && (errno == ENOSYS || errno == EPERM))
    return ::openat(folder.get(), name.c_str(),
                    flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW, mode);
  return fd;
}

bool is_regular(int fd) {
  struct stat info{};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

// What is there without links on the way, as most files of a job are: a few system calls instead of
// some for each part of the path. Empty: it must be looked for with care.
Fd open_plain(const std::string& root, const std::string& path, int flags, unsigned mode) {
  const bool absolute = path.starts_with('/');
  if (absolute && !path.starts_with(root + "/")) return {};
  const Fd folder = open_folder(root);
  if (!folder) return {};
  Fd fd(open_beneath(folder.get(), absolute ? path.substr(root.size() + 1) : path, flags, mode));
  return fd && is_regular(fd.get()) ? std::move(fd) : Fd();
}

Result<Fd> open_resolved(const std::string& root, const std::string& path, int flags,
                         unsigned mode) {
  std::error_code unknown;
  Fd fd(open_below(fs::canonical(root, unknown).string(), path, flags, mode));
  if (!fd) {
    const int number = errno;
    if (number == ELOOP || number == EXDEV) return leads_out(path);
    // A pipe that nobody reads, a socket, a folder.
    if (number == ENXIO || number == EISDIR)
      return Error{Code::invalid_field, path + " is not a regular file", {}};
    return os_error(number == ENOENT ? Code::not_found : Code::store_failed, "cannot open " + path);
  }
  if (!is_regular(fd.get())) return Error{Code::invalid_field, path + " is not a regular file", {}};
  return fd;
}
}  // namespace

Result<std::string> resolve_inside(const std::string& root, const std::string& path) {
  std::error_code failed;
  const fs::path base = fs::canonical(root, failed);
  if (failed) return Error{Code::not_found, "the folder " + root + " is gone", {}};
  const fs::path found = fs::weakly_canonical(base / path, failed);
  if (failed) return Error{Code::invalid_field, "cannot follow " + path, {}};
  const std::string relative = found.lexically_relative(base).string();
  if (relative.empty() || relative == ".." || relative.starts_with("../")) return leads_out(path);
  std::string text = found.string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

Result<Fd> open_inside(const std::string& root, const std::string& path, int flags, unsigned mode) {
  if (Fd plain = open_plain(root, path, flags, mode)) return plain;
  const auto resolved = resolve_inside(root, path);
  if (!resolved.ok()) return resolved.error();
  return open_resolved(root, *resolved, flags, mode);
}

Status replace_inside(const std::string& root, const std::string& path, std::string_view bytes) {
  if (const Fd fresh = open_plain(root, path, O_WRONLY | O_CREAT | O_EXCL, 0644))
    return write_all(fresh.get(), bytes);
  const fs::path given(path);
  const auto folder = resolve_inside(root, given.parent_path().string());
  if (!folder.ok()) return folder.error();
  const std::string target = *folder + "/" + given.filename().string();
  if (Status gone = remove_tree(target); !gone) return gone;
  const auto fd = open_resolved(root, target, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (!fd.ok()) return fd.error();
  return write_all(fd->get(), bytes);
}

}  // namespace mc::worker
