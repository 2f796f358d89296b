#include "cli/bench_server.h"

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

namespace mc::cli {
namespace {
constexpr std::size_t kLineMax = 4096;

Error failed(const std::string& what) { return Error{Code::unavailable, "bench: " + what, {}}; }

std::int64_t number(const std::string& text) {
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

Result<std::unique_ptr<BenchServer>> BenchServer::start() {
  std::unique_ptr<BenchServer> server(
      new BenchServer());  // tidy: allow banned: private constructor
  std::string pattern = (std::filesystem::temp_directory_path() / "maestro-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return failed("cannot make a scratch folder");
  server->folder_ = pattern;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed("no pipe");
  Fd reader(ends[0]), writer(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  std::string data = pattern + "/data";
  std::vector<std::string> words = {"maestro",  "up",          "--data",         data,
                                    "--listen", "127.0.0.1:0", "--worker-slots", "1"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const auto began = std::chrono::steady_clock::now();
  const int error =
      ::posix_spawn(&server->pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  writer.close();
  if (error != 0) return failed("cannot start the server");
  const std::string line = first_line(reader.get());
  server->start_ms_ =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  const std::size_t at = line.find("http://");
  if (at == std::string::npos) return failed("the server did not start: " + line);
  server->url_ = line.substr(at, line.find(' ', at) - at);
  const Result<std::string> token = read_file(data + "/admin.token", kLineMax);
  if (!token.ok()) return token.error();
  server->token_ = std::string(trim(*token));
  return server;
}

BenchServer::~BenchServer() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::unique_ptr<client::Transport> BenchServer::connect() const {
  return client::connect_http({.urls = {url_}, .token = token_});
}
std::unique_ptr<client::WorkerApi> BenchServer::worker() const {
  return client::connect_worker(connect());
}

std::int64_t BenchServer::resident_bytes() const {
  const auto text = read_file("/proc/" + std::to_string(pid_) + "/statm", kLineMax);
  if (!text.ok()) return 0;
  const std::vector<std::string> parts = split(*text, ' ');
  return parts.size() > 1 ? number(parts[1]) * ::sysconf(_SC_PAGESIZE) : 0;
}

double BenchServer::cpu_seconds() const {
  const auto text = read_file("/proc/" + std::to_string(pid_) + "/stat", kLineMax);
  if (!text.ok()) return 0;
  const std::vector<std::string> parts = split(text->substr(text->rfind(')') + 2), ' ');
  if (parts.size() < 13) return 0;
  return static_cast<double>(number(parts[11]) + number(parts[12])) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}
}  // namespace mc::cli
