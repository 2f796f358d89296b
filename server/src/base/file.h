// Descriptors and small files: what every folder that touches the disk needs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mc {

// Owns a file descriptor; -1: none. Everything is opened with O_CLOEXEC by whoever opens it.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { close(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void close();

 private:
  int fd_ = -1;
};

// "cannot write x: No space left on device": `what` and what errno says.
Error os_error(Code code, std::string_view what);

// Errors: store_failed.
Status write_all(int fd, std::string_view bytes);
// One after the other, in as few calls as there may be.
Status write_all(int fd, const std::vector<std::string_view>& pieces);
// The first `bytes_max` bytes of a file. Errors: not_found, too_large (there is more),
// store_failed.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);
// The same of an open file; `path` is for messages.
Result<std::string> read_all(const Fd& fd, const std::string& path, std::size_t bytes_max);
// Replaces the file's content (not atomically). Errors: store_failed.
Status write_file(const std::string& path, std::string_view bytes, unsigned mode = 0644);

}  // namespace mc
