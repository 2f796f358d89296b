#include "cli/io.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace mc::cli {
namespace {

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // the reader has gone: nobody is left to tell
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

Result<std::string> read_all(int fd, std::size_t bytes_max, const std::string& name) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{Code::usage, name + ": " + std::strerror(errno), {}};
    if (n == 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
    if (text.size() > bytes_max) return Error{Code::usage, name + " is larger than 4 MiB", {}};
  }
}

std::optional<std::string> read_line_of_input() {
  std::string line;
  char c = 0;
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return line.empty() ? std::nullopt : std::optional(line);
    if (c == '\n') return line;
    if (line.size() < 4096) line += c;
  }
}

std::string folder(const Io& io, const char* variable, const char* below_home) {
  const std::string set = variable_or(io, variable, "");
  if (!set.empty()) return set + "/maestro";
  return variable_or(io, "HOME", ".") + below_home;
}

}  // namespace

void Interrupts::note() {
  {
    const std::lock_guard lock(mutex_);
    count.fetch_add(1);
  }
  came_.notify_all();
}

bool Interrupts::wait(int wanted, Millis at_most) {
  std::unique_lock lock(mutex_);
  return came_.wait_for(lock, at_most, [&] { return count.load() >= wanted; });
}

Io process_io(Interrupts* interrupts) {
  Io io;
  io.out = [](std::string_view text) { write_all(STDOUT_FILENO, text); };
  io.err = [](std::string_view text) { write_all(STDERR_FILENO, text); };
  io.read_input = [] { return read_all(STDIN_FILENO, kInputMax, "standard input"); };
  io.read_line = read_line_of_input;
  io.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  io.in_terminal = ::isatty(STDIN_FILENO) == 1;
  io.out_terminal = ::isatty(STDOUT_FILENO) == 1;
  io.err_terminal = ::isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (io.out_terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    io.columns = size.ws_col;
    io.rows = size.ws_row;
  }
  io.interrupts = interrupts;
  return io;
}

std::string variable_or(const Io& io, const std::string& name, std::string_view fallback) {
  const std::optional<std::string> value = io.variable(name);
  return value && !value->empty() ? *value : std::string(fallback);
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{Code::usage, path + ": " + std::strerror(errno), {}};
  Result<std::string> text = read_all(fd, bytes_max, path);
  ::close(fd);
  return text;
}

Status write_file(const std::string& path, std::string_view text, bool secret) {
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                        secret ? S_IRUSR | S_IWUSR : S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
  if (fd < 0) return Error{Code::usage, fresh + ": " + std::strerror(errno), {}};
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t n = ::write(fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  const bool written = rest.empty() && ::fsync(fd) == 0;
  const int reason = errno;
  ::close(fd);
  if (!written) return Error{Code::usage, fresh + ": " + std::strerror(reason), {}};
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    return Error{Code::usage, path + ": " + std::strerror(errno), {}};
  return {};
}

std::string config_folder(const Io& io) {
  return folder(io, "XDG_CONFIG_HOME", "/.config/maestro");
}
std::string cache_folder(const Io& io) { return folder(io, "XDG_CACHE_HOME", "/.cache/maestro"); }

std::string data_folder(const Io& io) {
  const std::string set = variable_or(io, "MAESTRO_DATA", "");
  return set.empty() ? folder(io, "XDG_DATA_HOME", "/.local/share/maestro") : set;
}

}  // namespace mc::cli
