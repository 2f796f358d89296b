#include "bench/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "client/http_transport.h"

namespace mc::bench {
namespace {
constexpr std::size_t kLineMax = 4096;

Error failed(const std::string& what) { return Error{Code::unavailable, "bench: " + what, {}}; }

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The first line of the server's output.
std::string first_line(int pipe) {
  std::string line;
  char byte = 0;
  while (line.size() < kLineMax && ::read(pipe, &byte, 1) == 1 && byte != '\n')
    line.push_back(byte);
  return line;
}
}  // namespace

Result<std::unique_ptr<ServerProcess>> ServerProcess::start(int worker_slots) {
  Result<Scratch> scratch = Scratch::make();
  if (!scratch.ok()) return scratch.error();
  std::unique_ptr<ServerProcess> server(new ServerProcess(std::move(*scratch), worker_slots));
  if (const Status started = server->start_again(); !started) return started.error();
  return server;
}

Status ServerProcess::start_again() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed("no pipe");
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  const std::string log = folder() + "/server.log";
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  std::vector<std::string> words = {
      "maestro",  "up",          "--data",         data(),
      "--listen", "127.0.0.1:0", "--worker-slots", std::to_string(worker_slots_)};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const auto began = std::chrono::steady_clock::now();
  const int error =
      ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  writer.close();
  if (error != 0) return failed("cannot start the server");
  const std::string line = first_line(reader.get());
  start_ms_ =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  const std::size_t at = line.find("http://");
  if (at == std::string::npos) {
    const auto said = read_file(log, 1 << 20);
    return failed("the server did not start: " + line + (said.ok() ? *said : ""));
  }
  url_ = line.substr(at, line.find(' ', at) - at);
  const Result<std::string> token = read_file(data() + "/admin.token", kLineMax);
  if (!token.ok()) return token.error();
  token_ = std::string(trim(*token));
  return {};
}

void ServerProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void ServerProcess::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

ServerProcess::~ServerProcess() { stop(); }

std::unique_ptr<client::Transport> ServerProcess::connect() const {
  return client::connect_http({.urls = {url_}, .token = token_});
}
std::unique_ptr<client::WorkerApi> ServerProcess::worker() const {
  return client::connect_worker(connect());
}

int ServerProcess::port() const {
  return static_cast<int>(number(std::string_view(url_).substr(url_.rfind(':') + 1)));
}

std::int64_t ServerProcess::resident_bytes() const {
  const auto text = read_file("/proc/" + std::to_string(pid_) + "/statm", kLineMax);
  if (!text.ok()) return 0;
  const std::vector<std::string> parts = split(*text, ' ');
  return parts.size() > 1 ? number(parts[1]) * ::sysconf(_SC_PAGESIZE) : 0;
}

double ServerProcess::cpu_seconds() const {
  const auto text = read_file("/proc/" + std::to_string(pid_) + "/stat", kLineMax);
  if (!text.ok()) return 0;
  const std::vector<std::string> parts = split(text->substr(text->rfind(')') + 2), ' ');
  if (parts.size() < 13) return 0;
  return static_cast<double>(number(parts[11]) + number(parts[12])) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::int64_t ServerProcess::wakeups() const {
  constexpr std::string_view kField = "\nvoluntary_ctxt_switches:";
  std::int64_t sum = 0;
  std::error_code failed;
  const std::string tasks = "/proc/" + std::to_string(pid_) + "/task";
  for (std::filesystem::directory_iterator it(tasks, failed), end; !failed && it != end;
       it.increment(failed)) {
    const auto text = read_file(it->path().string() + "/status", kLineMax);
    const auto at = text.ok() ? text->find(kField) : std::string::npos;
    if (at != std::string::npos)
      sum += number(std::string(trim(split(text->substr(at + kField.size()), '\n').front())));
  }
  return sum;
}
}  // namespace mc::bench
