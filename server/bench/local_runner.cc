// B8: `maestro exec` on commands that do nothing, the whole program from start to end.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "base/file.h"
#include "bench/benchmarks.h"
#include "bench/scratch.h"

namespace mc::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr int kChain = 40;
constexpr int kWidth = 100;
constexpr int kRounds = 7;

std::string chain() {
  std::string text = "jobs:\n";
  for (int i = 0; i < kChain; ++i) {
    const std::string needs = i == 0 ? "" : fmt::format("needs: j{}, ", i - 1);
    text += fmt::format("  j{}: {{{}steps: [{{run: \"true\"}}]}}\n", i, needs);
  }
  return text;
}

std::string fan() {
  std::string text = "jobs:\n";
  for (int i = 0; i < kWidth; ++i)
    text += fmt::format("  j{}: {{steps: [{{run: \"true\"}}]}}\n", i);
  return text;
}

// Milliseconds of one `maestro exec FILE`, whose data stays in `home`.
Result<double> exec_once(const std::string& home, const std::string& file) {
  std::vector<std::string> words = {"maestro", "exec", file, "--quiet"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::vector<std::string> variables = {"HOME=" + home};
  if (const char* path = ::getenv("PATH")) variables.push_back(std::string("PATH=") + path);
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  const auto began = Clock::now();
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments.data(),
                                  environment.data());
  posix_spawn_file_actions_destroy(&actions);
  int status = 1;
  if (error == 0) ::waitpid(pid, &status, 0);
  if (status != 0) return Error{Code::unavailable, "bench: maestro exec has failed", {}};
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

Result<Figure> measure(const char* metric, const std::string& text, int tasks) {
  Result<Scratch> scratch = Scratch::make();
  if (!scratch.ok()) return scratch.error();
  const std::string file = scratch->path() + "/flow.yaml";
  if (const Status written = write_file(file, text); !written) return written.error();
  std::vector<double> each;
  std::vector<double> spawns;
  for (int i = 0; i < kRounds; ++i) {
    spawns.push_back(spawn_ms());
    const Result<double> ms = exec_once(scratch->path(), file);
    if (!ms.ok()) return ms.error();
    each.push_back(*ms / tasks);
  }
  return figure_of("b8", metric, "ms/task", each, median_of(spawns));
}
}  // namespace

Figures local_runner() {
  const Result<Figure> chained = measure("exec_chain_of_40", chain(), kChain);
  if (!chained.ok()) return chained.error();
  const Result<Figure> fanned = measure("exec_fan_of_100", fan(), kWidth);
  if (!fanned.ok()) return fanned.error();
  return std::vector<Figure>{*chained, *fanned};
}

}  // namespace mc::bench
