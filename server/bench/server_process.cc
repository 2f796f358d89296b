#include "bench/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/text.h"
#include "bench/database.h"
#include "client/http_transport.h"
#include "db/shard.h"

namespace mc::bench {
namespace {
constexpr std::size_t kLineMax = 4096;
constexpr std::string_view kProject = "default";  // of all that is measured

Error failed(const std::string& what) { return Error{Code::unavailable, "bench: " + what, {}}; }

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Set once, before the first server starts.
int replicas_each = 1;

// What a replica needs in its environment.
std::vector<std::string> database_variables(const std::string& data) {
  if (database_url().empty()) return {};
  // Secrets of a database that holds nothing but these measurements.
  return {"POSTGRES_URL=" + database_url(), "MAESTRO_DATA=" + data,
          "JWT_SECRET=for-measurements-only-0123456789abcdef",
          "SESSION_SECRET=for-measurements-only-fedcba9876543210"};
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

void ServerProcess::start_replicas(int replicas) { replicas_each = replicas; }

Result<std::unique_ptr<ServerProcess>> ServerProcess::start(int worker_slots) {
  Result<Scratch> scratch = Scratch::make();
  if (!scratch.ok()) return scratch.error();
  std::unique_ptr<ServerProcess> server(
      new ServerProcess(std::move(*scratch), worker_slots, replicas_each));
  if (const Status started = server->start_again(); !started) return started.error();
  return server;
}

Status ServerProcess::start_again() {
  const auto began = std::chrono::steady_clock::now();
  if (const Status made = database_url().empty() ? Status() : make_token(); !made) return made;
  for (Replica& replica : replicas_) {
    if (replica.pid > 0) continue;
    if (const Status launched = launch(replica); !launched) return launched;
  }
  if (!database_url().empty()) {
    if (const Status ready = wait_until_all_are_ready(); !ready) return ready;
  } else {
    const Result<std::string> token = read_file(data() + "/admin.token", kLineMax);
    if (!token.ok()) return token.error();
    token_ = std::string(trim(*token));
  }
  start_ms_ =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  return {};
}

Status ServerProcess::launch(Replica& replica) {
  std::vector<std::string> words = {
      "maestro",  "up",          "--data",         data(),
      "--listen", "127.0.0.1:0", "--worker-slots", std::to_string(worker_slots_)};
  if (!database_url().empty()) words = {"maestro", "serve", "--listen", "127.0.0.1:0"};
  const Result<std::string> line = launch(words, replica.pid, replica.name);
  if (!line.ok()) return line.error();
  const std::size_t at = line->find("http://");
  if (at == std::string::npos) {
    const auto said = read_file(log(), 1 << 20);
    return failed("the server did not start: " + *line + (said.ok() ? *said : ""));
  }
  replica.url = line->substr(at, line->find(' ', at) - at);
  return {};
}

// Starts this program; answers the first line that it writes.
Result<std::string> ServerProcess::launch(std::vector<std::string> words, int& pid,
                                          const std::string& name) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed("no pipe");
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log().c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  std::vector<std::string> variables = database_variables(data());
  if (!name.empty()) variables.push_back("MAESTRO_NAME=" + name);
  std::vector<char*> arguments, environment;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  for (std::string& variable : variables) environment.push_back(variable.data());
  for (char** at = environ; *at != nullptr; ++at) environment.push_back(*at);
  environment.push_back(nullptr);
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments.data(),
                                  environment.data());
  posix_spawn_file_actions_destroy(&actions);
  writer.close();
  if (error != 0) return failed("cannot start the server");
  return first_line(reader.get());
}

// In the database, which keeps no file with one; brings its schema up first.
Status ServerProcess::make_token() {
  if (!token_.empty()) return {};
  const std::string name = "bench-" + std::to_string(random_seed());
  for (const auto& words : {std::vector<std::string>{"maestro", "migrate", "up"},
                            {"maestro", "tokens", "create", name, "--role", "admin", "--direct"}}) {
    int pid = -1, status = 0;
    const Result<std::string> line = launch(words, pid);
    if (!line.ok()) return line.error();
    if (::waitpid(pid, &status, 0) != pid || status != 0) {
      const auto said = read_file(log(), 1 << 20);
      return failed("`" + join(words, " ") + "` failed: " + (said.ok() ? *said : ""));
    }
    token_ = std::string(trim(*line));
  }
  return {};
}

ServerProcess::Standing ServerProcess::standing(const Replica& replica) const {
  const auto answer =
      client::connect_http({.urls = {replica.url}, .token = token_})->send({.path = "/readyz"});
  if (!answer.ok() || answer->status != 200) return {};
  const Result<Value> body = parse_json(answer->body);
  const Value* checks = body.ok() ? body->find("checks") : nullptr;
  const Value* shards = body.ok() ? body->find("shards") : nullptr;
  if (checks == nullptr || shards == nullptr || !shards->is_list()) return {};
  const std::string lease = checks->string_or("lease", "");
  Standing standing{.is_settled = lease == "leads" || lease == "follows",
                    .leads = body->int_or("leads", 0)};
  for (const Value& shard : shards->as_list())
    standing.leaders.push_back(shard.string_or("leader", ""));
  return standing;
}

// The leases of before may have to lapse first, and shards to move to those who come.
Status ServerProcess::wait_until_all_are_ready() {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < end) {
    bool settled = true;
    std::int64_t least = db::kShardsMax, most = 0, led = 0;
    std::size_t shards = 0;
    for (const Replica& replica : replicas_) {
      const Standing found = standing(replica);
      settled = settled && found.is_settled;
      least = std::min(least, found.leads);
      most = std::max(most, found.leads);
      led += found.leads;
      shards = found.leaders.size();
    }
    if (settled && most - least <= 1 && led == static_cast<std::int64_t>(shards)) return {};
    ::poll(nullptr, 0, 5);
  }
  return failed("the replicas do not share the shards; do others run on this database?");
}

namespace {
void end(int& pid, int signal) {
  if (pid <= 0) return;
  ::kill(pid, signal);
  ::waitpid(pid, nullptr, 0);
  pid = -1;
}
}  // namespace

void ServerProcess::kill() {
  for (Replica& replica : replicas_) {
    const auto ours = [&](const Standing& found) {
      const auto shards = static_cast<int>(found.leaders.size());
      return shards > 0 &&
             found.leaders[static_cast<std::size_t>(db::shard_of(kProject, shards))] ==
                 replica.name;
    };
    if (replicas_.size() == 1 || ours(standing(replica))) return end(replica.pid, SIGKILL);
  }
}

void ServerProcess::stop() {
  for (auto replica = replicas_.rbegin(); replica != replicas_.rend(); ++replica)
    end(replica->pid, SIGTERM);
}

ServerProcess::~ServerProcess() { stop(); }

std::unique_ptr<client::Transport> ServerProcess::connect(int door) const {
  return connect_as(token_, door);
}
std::unique_ptr<client::Transport> ServerProcess::connect_as(const std::string& token,
                                                             int door) const {
  return client::connect_http({.urls = {behind(door).url}, .token = token});
}
std::unique_ptr<client::WorkerApi> ServerProcess::worker(int door) const {
  return client::connect_worker(connect(door));
}

int ServerProcess::port(int door) const {
  const std::string_view url = behind(door).url;
  return static_cast<int>(number(url.substr(url.rfind(':') + 1)));
}

std::int64_t ServerProcess::resident_bytes() const {
  const auto text =
      read_file("/proc/" + std::to_string(replicas_.front().pid) + "/statm", kLineMax);
  if (!text.ok()) return 0;
  const std::vector<std::string> parts = split(*text, ' ');
  return parts.size() > 1 ? number(parts[1]) * ::sysconf(_SC_PAGESIZE) : 0;
}

double ServerProcess::cpu_seconds() const {
  const auto text = read_file("/proc/" + std::to_string(replicas_.front().pid) + "/stat", kLineMax);
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
  const std::string tasks = "/proc/" + std::to_string(replicas_.front().pid) + "/task";
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
