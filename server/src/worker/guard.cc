#include "worker/guard.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "worker/process.h"
#include "worker/sweep.h"

namespace mc::worker {
namespace {
// Long enough for processes that the kernel takes apart slowly. What it ends has this worker's
// mark: the next worker of the folder has another.
constexpr std::chrono::milliseconds kPatience{20'000};

Error trouble(int error) {
  return Error{Code::internal, std::string("cannot start the guard: ") + std::strerror(error), {}};
}
}  // namespace

Result<Fd> start_guard(const std::string& program, const std::string& marker) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return trouble(errno);
  Fd read_end(ends[0]), write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, read_end.get(), STDIN_FILENO);
  // A session of its own: a Ctrl-C at the terminal is for the worker.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::string name = program, verb = "__guard", argument = marker;
  std::array<char*, 4> arguments = {name.data(), verb.data(), argument.data(), nullptr};
  std::array<char*, 1> environment = {nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments.data(),
                                  environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return trouble(error);
  note_own_child(pid);
  return write_end;
}

int run_guard(const std::string& marker) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(signal, SIG_IGN);
  char byte = 0;
  while (true) {
    const ssize_t size = ::read(STDIN_FILENO, &byte, 1);
    if (size == 0 || (size < 0 && errno != EINTR)) break;
  }
  kill_marked(marker, kPatience);
  return 0;
}
}  // namespace mc::worker
