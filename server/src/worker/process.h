// Starting and ending operating system processes: the only place that does.
//
// A process gets a session and process group of its own, standard input from /dev/null, default
// signal dispositions and mask, no descriptor beyond 2, and PR_SET_PDEATHSIG(SIGKILL): when this
// program dies, even by SIGKILL, its direct children do too. That signal is tied to the *thread*
// that spawned, so spawn() may only be called from threads that outlive the process (a worker's
// slot threads do). vfork, not fork: the cost does not grow with this program's memory.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace mc::worker {

struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0]: a path, or a name looked up in `path`
  std::vector<std::string> env;   // "NAME=value", complete: nothing is inherited
  std::string folder;             // working directory
  std::string path = "/usr/local/bin:/usr/bin:/bin";
};

// How a process ended.
struct Ended {
  int exit_code = 0;
  int signal = 0;  // != 0: killed by it
};

// A running child. Destroying one that still runs kills its group and reaps it.
class Process {
 public:
  Process() = default;
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0 && !ended_; }
  // Readable (poll) when the process has ended.
  int pidfd() const { return pidfd_.get(); }
  // Ends of pipes to read; the caller may move them out.
  Fd& out() { return out_; }
  Fd& err() { return err_; }

  // Reaps it when it has ended; nullopt while it runs.
  std::optional<Ended> try_wait();
  // Waits without limit.
  Ended wait();
  // Sends to the whole process group; harmless when it has ended.
  void signal_group(int signal) const;

 private:
  friend Result<Process> spawn(const SpawnOptions& options);
  pid_t pid_ = -1;
  Fd pidfd_, out_, err_;
  std::optional<Ended> ended_;
};

// Errors: unavailable (no such program, not executable), store_failed (no process, memory, file).
Result<Process> spawn(const SpawnOptions& options);

// The file that `name` means in a PATH; a name with a slash is itself. Errors: unavailable.
Result<std::string> find_program(const std::string& name, const std::string& path);

// "SIGKILL" for 9.
std::string signal_name(int signal);

// Direct children that spawn() made and nobody has reaped yet.
bool is_own_child(pid_t pid);
// Counts a child that was started otherwise among them, for as long as this program lives.
void note_own_child(pid_t pid);

}  // namespace mc::worker
