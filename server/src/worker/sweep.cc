#include "worker/sweep.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "worker/process.h"

namespace mc::worker {
namespace {
constexpr std::size_t kEnvironMax = 4 << 20;
constexpr std::size_t kStatMax = 4096;
constexpr std::size_t kChildrenMax = 1 << 20;
constexpr auto kBetweenLooks = std::chrono::milliseconds(5);
constexpr auto kOomKillsAge = std::chrono::seconds(1);

std::optional<pid_t> as_pid(std::string_view name) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc() || end != name.data() + name.size() || pid <= 0) return std::nullopt;
  return pid;
}

void each_process(const std::function<void(pid_t)>& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), ::closedir);
  if (!folder) return;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this function's own
  while (const dirent* entry = ::readdir(folder.get())) {
    if (const auto pid = as_pid(entry->d_name)) visit(*pid);
  }
}

// Children of the process's first thread. Whatever is adopted becomes one of them (Linux gives an
// orphan to the first live thread of its new parent, and ours ends last); children that other
// threads have started are not among them. nullopt: the kernel keeps no lists
// (CONFIG_PROC_CHILDREN).
std::optional<std::vector<pid_t>> first_thread_children() {
  const std::string pid = std::to_string(::getpid());
  const auto list = read_file("/proc/self/task/" + pid + "/children", kChildrenMax);
  if (!list.ok()) return std::nullopt;
  std::vector<pid_t> children;
  for (const std::string& word : split(*list, ' ')) {
    if (const auto child = as_pid(word)) children.push_back(*child);
  }
  return children;
}

bool has_marker(pid_t pid, std::string_view marker) {
  const auto environ = read_file("/proc/" + std::to_string(pid) + "/environ", kEnvironMax);
  if (!environ.ok()) return false;
  for (std::size_t at = environ->find(marker); at != std::string::npos;
       at = environ->find(marker, at + 1)) {
    const std::size_t end = at + marker.size();
    const bool begins = at == 0 || (*environ)[at - 1] == '\0';
    const bool ends = end == environ->size() || (*environ)[end] == '\0' || marker.ends_with('/');
    if (begins && ends) return true;
  }
  return false;
}

struct ProcessState {
  char state = '?';
  pid_t parent = 0;
};
std::optional<ProcessState> state_of(pid_t pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", kStatMax);
  if (!stat.ok()) return std::nullopt;
  // "PID (name) S PPID …"; the name may hold anything, the last parenthesis ends it.
  const std::size_t end = stat->rfind(") ");
  if (end == std::string::npos || end + 4 >= stat->size()) return std::nullopt;
  const std::string_view rest = std::string_view(*stat).substr(end + 4);
  const auto parent = as_pid(rest.substr(0, rest.find(' ')));
  return ProcessState{(*stat)[end + 2], parent.value_or(0)};
}

void reap(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, WNOHANG);
}

// One look: kills and returns how many live processes had the marker.
int kill_once(std::string_view marker) {
  int found = 0;
  each_process([&](pid_t pid) {
    if (pid == ::getpid() || !has_marker(pid, marker)) return;
    ++found;
    ::kill(pid, SIGKILL);
  });
  return found;
}

long counter(const std::string& path, std::string_view name) {
  const auto text = read_file(path, 1 << 20);
  if (!text.ok()) return 0;
  for (const std::string& line : split(*text, '\n')) {
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') continue;
    long value = 0;
    std::from_chars(line.data() + name.size() + 1, line.data() + line.size(), value);
    return value;
  }
  return 0;
}
}  // namespace

void become_subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

int kill_marked(std::string_view marker, std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  int killed = 0;
  for (;;) {
    const int found = kill_once(marker);
    killed = std::max(killed, found);
    reap_orphans(false);
    if (found == 0 || std::chrono::steady_clock::now() >= until) return killed;
    // A killed process takes a moment to go; poll with nothing is the wait that signals may end.
    struct timespec pause{.tv_nsec = std::chrono::nanoseconds(kBetweenLooks).count()};
    ::pselect(0, nullptr, nullptr, nullptr, &pause, nullptr);
  }
}

void reap_orphans(bool kill) {
  const auto look_at = [kill](pid_t pid) {
    if (is_own_child(pid)) return;
    const auto state = state_of(pid);
    if (!state || state->parent != ::getpid()) return;
    if (kill && state->state != 'Z') ::kill(pid, SIGKILL);
    if (kill || state->state == 'Z') reap(pid);
  };
  const auto children = first_thread_children();
  if (!children) return each_process(look_at);
  for (const pid_t child : *children) look_at(child);
}

bool has_orphans() {
  int subreaper = 0;
  if (::prctl(PR_GET_CHILD_SUBREAPER, &subreaper) != 0 || subreaper == 0) return true;
  // Twice: the kernel's list may skip one while another child ends.
  for (int look = 0; look < 2; ++look) {
    const auto children = first_thread_children();
    if (!children || !std::ranges::all_of(*children, is_own_child)) return true;
  }
  return false;
}

long oom_kills() {
  return counter("/proc/vmstat", "oom_kill") + counter("/sys/fs/cgroup/memory.events", "oom_kill") +
         counter("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill");
}

long recent_oom_kills() {
  static std::mutex mutex;  // guards the two below
  static std::optional<std::chrono::steady_clock::time_point> read_at;
  static long kills = 0;
  const std::scoped_lock lock(mutex);
  const auto now = std::chrono::steady_clock::now();
  if (!read_at || now - *read_at >= kOomKillsAge) {
    kills = oom_kills();
    read_at = now;
  }
  return kills;
}

}  // namespace mc::worker
