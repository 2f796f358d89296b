#include "base/file.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
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

Status write_all(int fd, std::string_view bytes) { return write_all(fd, std::vector{bytes}); }

Status write_all(int fd, const std::vector<std::string_view>& pieces) {
  std::vector<iovec> left;
  for (const std::string_view piece : pieces) {
    // writev does not write to what it is given to read.
    if (!piece.empty()) left.push_back({const_cast<char*>(piece.data()), piece.size()});
  }
  for (std::size_t next = 0; next < left.size();) {
    const auto count = static_cast<int>(std::min<std::size_t>(left.size() - next, IOV_MAX));
    const ssize_t n = ::writev(fd, &left[next], count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_error(Code::store_failed, "cannot write");
    for (auto done = static_cast<std::size_t>(n); done > 0;) {
      const std::size_t part = std::min(done, left[next].iov_len);
      left[next].iov_base = static_cast<char*>(left[next].iov_base) + part;
      left[next].iov_len -= part;
      done -= part;
      if (left[next].iov_len == 0) ++next;
    }
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
  constexpr std::size_t kPieceMin = 4 << 10;  // most files here are small
  constexpr std::size_t kPieceMax = 64 << 10;
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    const std::size_t piece = std::clamp(before, kPieceMin, kPieceMax);
    text.resize(before + piece);
    const ssize_t n = ::read(fd.get(), text.data() + before, piece);
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
