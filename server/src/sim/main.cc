// maestro-sim: runs worlds (sim/world.h), one a seed, on every core.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include "sim/faults.h"
#include "sim/soak.h"
#include "sim/world.h"

namespace mc::sim {
namespace {
constexpr int kUsage = 2;  // as every program of ours that was called wrongly
constexpr std::uint64_t kSeedMax = 1'000'000'000'000;
constexpr std::size_t kShownMax = 10;  // violations told in full

// What this thread simulates: named when a check of the production code ends the program.
thread_local std::uint64_t current_seed = 0;

extern "C" void name_seed(int) {
  std::array<char, 64> text{};
  const auto end = fmt::format_to_n(text.data(), text.size(), "seed {}: aborted\n", current_seed);
  (void)!::write(STDOUT_FILENO, text.data(), end.size);
}

struct Request {
  std::uint64_t seeds = 1'000;
  std::uint64_t from = 1;
  std::string profile = "swarm";
  int replicas = kByChance;
  int seconds = 0;  // 0: until all seeds are through
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  bool keep_going = true;
  bool trace = false;
  std::string program = "maestro-sim";  // as it was called
};

struct Totals {
  std::uint64_t seeds = 0, violations = 0;
  std::int64_t steps = 0, runs = 0, events = 0, commits = 0, crashes = 0, jobs = 0;
  std::int64_t injected = 0, takeovers = 0;
  std::uint64_t clusters = 0;  // worlds with replicas
};

class Campaign {
 public:
  explicit Campaign(const Request& request) : request_(request) {}

  Totals run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < request_.jobs; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    if (::isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K");
    return totals_;
  }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }

 private:
  void work() {
    for (;;) {
      const std::uint64_t index = next_.fetch_add(1);
      const bool late = request_.seconds > 0 && seconds() >= request_.seconds;
      if (index >= request_.seeds || late || stop_) return;
      const std::uint64_t seed = request_.from + index;
      current_seed = seed;
      take(seed, simulate(seed, request_.profile, request_.replicas, trace()));
    }
  }

  std::function<void(const std::string&)> trace() const {
    if (!request_.trace) return nullptr;
    return [](const std::string& line) { fmt::print("{}\n", line); };
  }

  void take(std::uint64_t seed, const Verdict& verdict) {
    const std::lock_guard lock(mutex_);
    ++totals_.seeds;
    totals_.steps += verdict.steps;
    totals_.runs += verdict.runs;
    totals_.events += verdict.events;
    totals_.commits += verdict.commits;
    totals_.crashes += verdict.crashes;
    totals_.jobs += verdict.jobs;
    totals_.injected += verdict.injected;
    if (verdict.replicas > 1) {
      ++totals_.clusters;
      totals_.takeovers += verdict.takeovers;
    }
    if (!verdict.violation.empty()) tell(seed, verdict);
    if (::isatty(STDERR_FILENO) != 0 && totals_.seeds % 20 == 0)
      fmt::print(stderr, "\r{} of {} seeds, {} violations", totals_.seeds, request_.seeds,
                 totals_.violations);
  }

  void tell(std::uint64_t seed, const Verdict& verdict) {
    if (!request_.keep_going) stop_ = true;
    if (++totals_.violations > kShownMax) return;
    fmt::print(
        "seed {}: {}\n  faults: {}\n  replay: {} --seeds 1 --from {} --profile {} --replicas {}\n",
        seed, verdict.violation, verdict.faults, request_.program, seed, request_.profile,
        verdict.replicas);
    std::fflush(stdout);
  }

  const Request& request_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // guards totals_ and what is printed
  Totals totals_;
};

int run(const Request& request) {
  Campaign campaign(request);
  const Totals totals = campaign.run();
  const double seconds = campaign.seconds();
  fmt::print(
      "{} faults; {} runs, {} jobs, {} events, {} commits, {} crashes of the server, {} steps in "
      "{:.1f} s: {:.0f} seeds a minute\n",
      totals.injected, totals.runs, totals.jobs, totals.events, totals.commits, totals.crashes,
      totals.steps, seconds, 60.0 * static_cast<double>(totals.seeds) / seconds);
  fmt::print("{} worlds with replicas, {} times one took over\n", totals.clusters,
             totals.takeovers);
  fmt::print("{} seeds, {} violations\n", totals.seeds, totals.violations);
  return totals.violations > 0 ? 1 : 0;
}

// In memory when the machine has such a file system: what is measured is growth, not the disk.
int run_soak(SoakRequest week) {
  const char* place = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  std::string folder = std::string(place) + "/maestro-soak-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    fmt::print(stderr, "no folder can be made in {}\n", place);
    return 1;
  }
  week.folder = folder;
  const bool bounded = soak(week);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return bounded ? 0 : 1;
}
}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Throws faults at the production engine under a virtual clock and checks that nothing is "
      "lost, "
      "nothing happens twice and every run ends. docs/reliability.md says how."};
  Request request;
  bool first_only = false;
  app.add_option("--seeds", request.seeds, "How many worlds")
      ->check(CLI::Range(std::uint64_t{1}, kSeedMax))
      ->capture_default_str();
  app.add_option("--from", request.from, "The first seed")
      ->check(CLI::Range(std::uint64_t{0}, kSeedMax))
      ->capture_default_str();
  app.add_option("--profile", request.profile, "Which faults")
      ->check(CLI::IsMember(profile_names()))
      ->capture_default_str();
  app.add_option("--replicas", request.replicas,
                 "Servers on one database (1: one server with a store of its own; 0: by chance)")
      ->check(CLI::Range(0, kReplicasMax))
      ->capture_default_str();
  app.add_option("--seconds", request.seconds,
                 "Stop after that long (0: when all seeds are through)")
      ->check(CLI::Range(0, 86'400));
  app.add_option("--jobs", request.jobs, "Worlds at a time")->check(CLI::Range(1U, 1'024U));
  SoakRequest week;
  bool soaking = false;
  app.add_flag("--soak", soaking, "Instead: a week of steady load over a real store");
  app.add_option("--days", week.days, "Virtual days of --soak")
      ->check(CLI::Range(3, 365))
      ->capture_default_str();
  app.add_option("--runs", week.runs, "Runs of --soak")
      ->check(CLI::Range(std::int64_t{100}, std::int64_t{100'000'000}))
      ->capture_default_str();
  app.add_flag("--first", first_only, "Stop at the first violation");
  app.add_flag("--trace", request.trace, "Print every fault and every event (for one seed)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (soaking) return run_soak(std::move(week));
  request.keep_going = !first_only;
  request.program = argv[0];
  std::signal(SIGABRT, name_seed);
  return run(request);
}
}  // namespace mc::sim

int main(int argc, char** argv) { return mc::sim::main(argc, argv); }
