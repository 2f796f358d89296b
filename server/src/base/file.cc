#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace mc {

void Fd::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Error os_error(Code code, std::string_view what) {
  const int number = errno;
  return {code, std::string(what) + ": " + std::generic_category().message(number), {}};
}

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_error(Code::store_failed, "cannot write");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    return os_error(errno == ENOENT ? Code::not_found : Code::store_failed, "cannot read " + path);
  return read_all(fd, path, bytes_max);
}

Result<std::string> read_all(const Fd& fd, const std::string& path, std::size_t bytes_max) {
  std::string text;
  for (;;) {
    constexpr std::size_t kPiece = 64 << 10;
    const std::size_t before = text.size();
    text.resize(before + kPiece);
    const ssize_t n = ::read(fd.get(), text.data() + before, kPiece);
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_error(Code::store_failed, "cannot read " + path);
    if (text.size() > bytes_max) {
      return Error{
          Code::too_large, path + " has more than " + std::to_string(bytes_max) + " bytes", {}};
    }
    if (n == 0) return text;
  }
}

Status write_file(const std::string& path, std::string_view bytes, unsigned mode) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd) return os_error(Code::store_failed, "cannot create " + path);
  return write_all(fd.get(), bytes);
}

}  // namespace mc
