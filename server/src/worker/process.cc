#include "worker/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <set>

#include "base/text.h"

namespace mc::worker {
namespace {
std::mutex children_mutex;  // guards children()
std::set<pid_t>& children() {
  static std::set<pid_t> known;
  return known;
}

struct Pipe {
  Fd read, write;
};
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return os_error(Code::store_failed, "cannot make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// All that the child needs, made before vfork: the child only makes system calls.
struct Plan {
  const char* program;
  char* const* argv;
  char* const* env;
  const char* folder;
  int null, out, err, failure;
  pid_t parent;
};

void become(const Plan& plan) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent) ::_exit(127);  // the parent died before the line above
  struct sigaction usual{};
  usual.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &usual, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  if (::chdir(plan.folder) != 0) return;
  if (::dup2(plan.null, 0) < 0 || ::dup2(plan.out, 1) < 0 || ::dup2(plan.err, 2) < 0) return;
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execve(plan.program, plan.argv, plan.env);
}

pid_t start(const Plan& plan) {
  // No handler of ours may run in the child while it shares our memory.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const std::scoped_lock lock(children_mutex);
  // NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork): fork would copy our page tables
  const pid_t pid = ::vfork();
  if (pid == 0) {
    become(plan);
    const int number = errno;
    const ssize_t told = ::write(plan.failure, &number, sizeof number);
    ::_exit(told < 0 ? 126 : 127);
  }
  if (pid > 0) children().insert(pid);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pid;
}

Ended decode(int status) {
  if (WIFSIGNALED(status)) return {.exit_code = 128 + WTERMSIG(status), .signal = WTERMSIG(status)};
  return {.exit_code = WEXITSTATUS(status)};
}

void forget(pid_t pid) {
  const std::scoped_lock lock(children_mutex);
  children().erase(pid);
}
}  // namespace

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      ended_(other.ended_) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(out_, other.out_);
  std::swap(err_, other.err_);
  std::swap(ended_, other.ended_);
  return *this;
}

Process::~Process() {
  if (!running()) return;
  signal_group(SIGKILL);
  wait();
}

std::optional<Ended> Process::try_wait() {
  if (ended_ || pid_ <= 0) return ended_;
  int status = 0;
  const pid_t got = ::waitpid(pid_, &status, WNOHANG);
  if (got == pid_) ended_ = decode(status);
  if (got < 0 && errno == ECHILD) ended_ = Ended{.exit_code = 128 + SIGKILL, .signal = SIGKILL};
  if (ended_) forget(pid_);
  return ended_;
}

Ended Process::wait() {
  while (!ended_) {
    siginfo_t info{};
    // WNOWAIT: try_wait reaps and does the books.
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
    try_wait();
  }
  return *ended_;
}

void Process::signal_group(int signal) const {
  if (pid_ > 0) ::kill(-pid_, signal);
}

Result<std::string> find_program(const std::string& name, const std::string& path) {
  if (name.find('/') != std::string::npos) return name;
  for (const std::string& folder : split(path, ':')) {
    std::string candidate = folder + "/" + name;
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return Error{Code::unavailable, "there is no program `" + name + "` in " + path, {}};
}

Result<Process> spawn(const SpawnOptions& options) {
  const auto program = find_program(options.argv.at(0), options.path);
  if (!program.ok()) return program.error();
  auto out = make_pipe();
  if (!out.ok()) return out.error();
  auto err = make_pipe();
  if (!err.ok()) return err.error();
  auto failure = make_pipe();
  if (!failure.ok()) return failure.error();
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<char*> argv = pointers(options.argv);
  const std::vector<char*> env = pointers(options.env);
  Process process;
  process.pid_ = start({.program = program->c_str(),
                        .argv = argv.data(),
                        .env = env.data(),
                        .folder = options.folder.c_str(),
                        .null = null.get(),
                        .out = out->write.get(),
                        .err = err->write.get(),
                        .failure = failure->write.get(),
                        .parent = ::getpid()});
  if (process.pid_ < 0) return os_error(Code::store_failed, "cannot start a process");
  process.pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid_, 0)));
  failure->write.close();
  int number = 0;
  ssize_t told = 0;
  do told = ::read(failure->read.get(), &number, sizeof number);
  while (told < 0 && errno == EINTR);
  if (told > 0) {
    process.wait();
    errno = number;
    return os_error(Code::unavailable, "cannot start " + *program + " in " + options.folder);
  }
  process.out_ = std::move(out->read);
  process.err_ = std::move(err->read);
  return process;
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name == nullptr ? "signal " + std::to_string(signal) : "SIG" + std::string(name);
}

bool is_own_child(pid_t pid) {
  const std::scoped_lock lock(children_mutex);
  return children().contains(pid);
}

void note_own_child(pid_t pid) {
  const std::scoped_lock lock(children_mutex);
  children().insert(pid);
}

}  // namespace mc::worker
