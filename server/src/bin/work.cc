#include "bin/work.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "bin/data_folder.h"
#include "bin/doors.h"
#include "bin/join_cluster.h"
#include "bin/machine.h"
#include "bin/server_settings.h"
#include "cli/version.h"
#include "client/http_transport.h"

extern "C" char** environ;

namespace mc::bin {

std::vector<std::string> process_environment() {
  std::vector<std::string> all;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) all.emplace_back(*at);
  return all;
}

namespace {

constexpr Millis kTellEvery{5'000};
constexpr int kKubernetesSlots = 16;  // what bounds jobs there is the cluster, not this machine

int slots_or_processors(int slots) {
  if (slots > 0) return slots;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// Names of workers are lower case; a host's may be anything.
std::string as_name(std::string_view text) {
  std::string name = to_lower(text).substr(0, 63);
  for (char& c : name)
    if (!is_name(std::string("a") + c)) c = '-';
  return is_name(name) ? name : "worker";
}

}  // namespace

std::string host_name() {
  std::array<char, 256> buffer{};
  if (::gethostname(buffer.data(), buffer.size() - 1) != 0) return "worker";
  return as_name(buffer.data());
}

Result<std::unique_ptr<worker::Worker>> start_worker(WorkSetup setup) {
  worker::WorkerOptions options;
  // The end of a pod ends what runs in it.
  if (!setup.contained) options.guard_program = "/proc/self/exe";
  options.name = setup.name;
  options.labels = std::move(setup.labels);
  options.slots = slots_or_processors(setup.slots);
  options.resources = setup.resources;
  options.version = cli::kVersion;
  options.poll_wait = setup.poll_wait;
  options.refused = std::move(setup.refused);
  options.connect = std::move(setup.connect_api);
  options.executor = std::move(setup.executor);
  options.report = [](const std::string& text) {
    text.starts_with("registered") ? log_info("worker: " + text) : log_warn("worker: " + text);
  };
  // Steps run in folders of their own, from where a relative path leads elsewhere.
  std::error_code failed;
  options.run.data = std::filesystem::absolute(setup.data, failed).lexically_normal().string();
  if (failed) return Error{Code::data_folder, setup.data + ": " + failed.message(), {}};
  options.run.environment = process_environment();
  options.run.pass_env = std::move(setup.pass_env);
  options.run.local_checkout_dir = std::move(setup.checkout_folder);
  options.run.no_cache = setup.no_cache;
  options.run.contained = setup.contained;
  options.run.web = [] { return client::connect_web(false); };
  return worker::Worker::start(std::move(options));
}

namespace {
// Why the server will not have this worker, told by one of the worker's threads.
class Refusal {
 public:
  void note(const Error& error) {
    const std::scoped_lock lock(mutex_);
    error_ = error;
  }
  std::optional<Error> get() {
    const std::scoped_lock lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  std::optional<Error> error_;
};

void drain(worker::Worker& worker, const cli::WorkerOptions& options, cli::Interrupts& interrupts) {
  worker.drain();
  const Instant until = system_clock().now() + options.drain_timeout;
  Instant told;
  while (!worker.wait_idle(Millis(200))) {
    const Instant now = system_clock().now();
    if (interrupts.count.load() > 1 || now >= until) break;
    if (now - told < kTellEvery) continue;
    told = now;
    log_info("stopping: jobs still run; a second signal ends them at once",
             {{"jobs", std::int64_t{worker.running()}}, {"at_most", format_duration(until - now)}});
  }
  const int left = worker.running();
  if (left > 0)
    log_warn("jobs are given up; the server starts them again", {{"jobs", std::int64_t{left}}});
  worker.stop(Millis(0));
}
}  // namespace

namespace {
// What --executor kubernetes makes of a worker.
Status join(const cli::WorkerOptions& options, WorkSetup& setup) {
  if (!options.kubernetes) return {};
  if (setup.slots == 0) setup.slots = kKubernetesSlots;
  if (std::ranges::find(setup.labels, "kubernetes") == setup.labels.end())
    setup.labels.emplace_back("kubernetes");
  auto executor = join_cluster(options, setup.name);
  if (!executor.ok()) return executor.error();
  setup.executor = std::move(*executor);
  return {};
}
}  // namespace

Result<int> work(const cli::WorkerOptions& options, const cli::Io&, Signals& signals) {
  cli::Interrupts& interrupts = signals.interrupts();
  interrupts.handled = true;
  // For the level and form of the log; what it says of servers does not matter to a worker.
  if (const auto settings = load_settings(); !settings.ok()) return settings.error();
  if (Status made = make_data_folder(options.data); !made.ok()) return made.error();
  WorkSetup setup;
  setup.name = options.name.empty() ? host_name() : options.name;
  setup.labels = options.labels;
  if (std::find(setup.labels.begin(), setup.labels.end(), "linux") == setup.labels.end())
    setup.labels.emplace_back("linux");
  setup.slots = options.slots;
  // In a cluster its scheduler knows what there is.
  setup.resources = options.kubernetes ? Resources{} : machine_resources();
  if (options.capacity.cpu_milli > 0) setup.resources.cpu_milli = options.capacity.cpu_milli;
  if (options.capacity.memory > 0) setup.resources.memory = options.capacity.memory;
  setup.data = options.data;
  setup.pass_env = options.pass_env;
  setup.connect_api = [urls = options.urls, token = options.token] {
    return client::connect_worker(client::connect_http({.urls = urls, .token = token}));
  };
  Refusal refusal;
  setup.refused = [&](const Error& error) {
    refusal.note(error);
    interrupts.note();
  };
  if (Status joined = join(options, setup); !joined) return joined.error();
  Result<std::unique_ptr<worker::Worker>> worker = start_worker(std::move(setup));
  if (!worker.ok()) return worker.error();
  while (!interrupts.wait(1, Millis(3'600'000))) {}
  if (const auto refused = refusal.get()) return *refused;
  drain(**worker, options, interrupts);
  return interrupts.count.load() > 1 ? 130 : 0;
}

}  // namespace mc::bin
