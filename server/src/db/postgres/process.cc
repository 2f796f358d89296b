#include "db/postgres/process.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/text.h"

namespace mc::db {
namespace {
constexpr std::size_t kFileMax = 8 << 10;
constexpr std::size_t kStart = 22 - 3;  // of the fields behind the program's name

std::string boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id", kFileMax);
  return text.ok() ? std::string(trim(*text)) : "";
}

std::string pid_namespace() {
  struct stat found{};
  return ::stat("/proc/self/ns/pid", &found) == 0 ? std::to_string(found.st_ino) : "";
}

// Empty: not known.
std::string start_of(std::string_view pid) {
  const auto stat = read_file("/proc/" + std::string(pid) + "/stat", kFileMax);
  if (!stat.ok()) return "";
  // "PID (name) S …"; the name may hold anything, the last parenthesis ends it.
  const std::size_t end = stat->rfind(") ");
  if (end == std::string::npos) return "";
  const auto fields = split(stat->substr(end + 2), ' ');
  return fields.size() > kStart ? fields[kStart] : "";
}
}  // namespace

std::string process_name(pid_t pid) {
  const std::string number = std::to_string(pid);
  const std::string parts[] = {boot_id(), pid_namespace(), number, start_of(number)};
  std::string name;
  for (const std::string& part : parts) {
    if (part.empty()) return "";
    name += (name.empty() ? "" : "/") + part;
  }
  return name;
}

ProcessWatch::ProcessWatch(std::string_view process_name) {
  const auto parts = split(process_name, '/');
  if (parts.size() != 4 || parts[0] != boot_id() || parts[1] != pid_namespace()) return;
  const std::string& number = parts[2];
  pid_t pid = 0;
  const auto [end, wrong] = std::from_chars(number.data(), number.data() + number.size(), pid);
  if (wrong != std::errc() || end != number.data() + number.size() || pid <= 0) return;
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process) {
    ended_ = errno == ESRCH;
    return;
  }
  const std::string start = start_of(number);  // of the one that is held now: it cannot change
  if (start.empty()) return;
  if (start == parts[3]) {
    pidfd_ = std::move(process);
  } else {
    ended_ = true;
  }
}

bool ProcessWatch::ended() {
  if (ended_ || !pidfd_) return ended_;
  pollfd process{pidfd_.get(), POLLIN, 0};
  ended_ = ::poll(&process, 1, 0) == 1;
  if (ended_) pidfd_.close();
  return ended_;
}

}  // namespace mc::db
