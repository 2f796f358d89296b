#include <algorithm>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "bin/data_folder.h"
#include "bin/doors.h"
#include "bin/gate.h"
#include "bin/listen.h"
#include "bin/machine.h"
#include "bin/server_settings.h"
#include "bin/shared_limits.h"
#include "bin/stack.h"
#include "bin/work.h"
#include "cli/target.h"
#include "cli/version.h"
#include "client/http_transport.h"

namespace mc::bin {
namespace {

constexpr const char* kWorkerName = "local";
constexpr Millis kTellEvery{5'000};
// For answers under way; long polls are not worth waiting for.
constexpr Millis kHttpDrain{500};

class UpServer {
 public:
  // Requires: `data` is the folder, whatever the settings say.
  UpServer(config::Settings settings, std::string data)
      : settings_(std::move(settings)), data_(std::move(data)) {}
  Status start();
  void stop(cli::Interrupts& interrupts);
  std::string ready_line() const;
  const std::string& url() const { return url_; }

 private:
  // Whether somebody said so, rather than the table.
  bool is_given(std::string_view setting) const;
  Status start_stack();
  Status start_embedded();
  void wait_for_jobs(cli::Interrupts& interrupts);

  config::Settings settings_;
  std::string data_;
  std::string url_;
  // In the order in which they are made; they end in the reverse.
  Gate gate_;
  std::unique_ptr<redis::Keeper> redis_;  // null: none
  std::unique_ptr<Stack> stack_;
  std::unique_ptr<SharedLimits> limits_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<worker::Worker> worker_;
};

Status UpServer::start() {
  if (is_given("postgres_url"))
    log_warn("POSTGRES_URL is set, but `up` keeps everything in its data folder",
             {{"data", data_}});
  if (Status made = make_data_folder(data_); !made.ok()) return made;
  Result<std::unique_ptr<http::Server>> server = start_server(server_options(settings_), gate_);
  if (!server.ok()) return server.error();
  server_ = std::move(*server);
  url_ = local_url(server_->address());
  Result<std::unique_ptr<redis::Keeper>> redis =
      open_redis(settings_, settings_.name.empty() ? host_name() : settings_.name, false);
  if (!redis.ok()) return redis.error();
  redis_ = std::move(*redis);
  if (Status started = start_stack(); !started.ok()) return started;
  gate_.open(stack_->api());
  // A 0 that somebody wrote means no worker; the table's, one job a processor.
  if (settings_.worker_slots > 0 || !is_given("worker_slots")) {
    if (Status started = start_embedded(); !started.ok()) return started;
  }
  return write_server_file(data_, url_);
}

bool UpServer::is_given(std::string_view setting) const {
  return std::any_of(settings_.origins.begin(), settings_.origins.end(), [&](const auto& origin) {
    return origin.first == setting && origin.second != "default";
  });
}

Status UpServer::start_stack() {
  StackOptions options = stack_options(settings_);
  options.folder = data_;
  options.redis = redis_.get();
  options.public_url = is_given("public_url") ? settings_.public_url : url_;
  options.embedded_worker = kWorkerName;
  options.admin_token_file = cli::kAdminTokenFile;
  Result<std::unique_ptr<Stack>> stack = Stack::open(options);
  if (!stack.ok()) return stack.error();
  stack_ = std::move(*stack);
  if (redis_) limits_ = std::make_unique<SharedLimits>(stack_->api().limiter(), *redis_);
  return {};
}

Status UpServer::start_embedded() {
  WorkSetup setup;
  setup.name = kWorkerName;
  setup.labels = {"linux", "local"};
  for (const std::string& label : settings_.worker_labels)
    if (std::ranges::find(setup.labels, label) == setup.labels.end()) setup.labels.push_back(label);
  setup.slots = static_cast<int>(settings_.worker_slots);
  setup.resources = machine_resources();
  setup.data = data_ + "/worker";
  if (Status made = make_data_folder(setup.data); !made.ok()) return made;
  setup.connect_api = [url = url_,
                       token = stack_->lend_token("embedded worker", auth::Role::worker)] {
    return client::connect_worker(client::connect_http({.urls = {url}, .token = token}));
  };
  Result<std::unique_ptr<worker::Worker>> worker = start_worker(std::move(setup));
  if (!worker.ok()) return worker.error();
  worker_ = std::move(*worker);
  return {};
}

std::string UpServer::ready_line() const {
  return std::string("maestro ") + cli::kVersion + " ready at " + url_ + " (data " + data_ +
         ", token " + data_ + "/" + cli::kAdminTokenFile + ")\n";
}

void UpServer::wait_for_jobs(cli::Interrupts& interrupts) {
  const Instant until = system_clock().now() + settings_.drain_timeout;
  Instant told;
  while (!worker_->wait_idle(Millis(100))) {
    const Instant now = system_clock().now();
    if (interrupts.count.load() > 1 || now >= until) break;
    if (now - told < kTellEvery) continue;
    told = now;
    log_info(
        "stopping: jobs still run; a second signal ends them at once",
        {{"jobs", std::int64_t{worker_->running()}}, {"at_most", format_duration(until - now)}});
  }
}

void UpServer::stop(cli::Interrupts& interrupts) {
  stack_->service().drain();
  if (worker_) {
    worker_->drain();
    wait_for_jobs(interrupts);
    worker_->stop(Millis(0));
  }
  remove_server_file(data_);
  const bool hurry = interrupts.count.load() > 1;
  server_->drain(hurry ? Millis(0) : kHttpDrain);
  server_->stop();
}

}  // namespace

Result<int> up(const cli::UpOptions& options, const cli::Io& io, Signals& signals) {
  cli::Interrupts& interrupts = signals.interrupts();
  interrupts.handled = true;
  Result<config::Settings> settings = load_settings(options.flags);
  if (!settings.ok()) return settings.error();
  const std::string data = settings->data.empty() ? cli::data_folder(io) : settings->data;
  UpServer server(std::move(*settings), data);
  if (Status started = server.start(); !started.ok()) return started.error();
  io.out(server.ready_line());
  log_info("ready", {{"version", cli::kVersion}, {"url", server.url()}, {"data", data}});
  while (!interrupts.wait(1, Millis(3'600'000))) {}
  log_info("stopping");
  server.stop(interrupts);
  log_info("stopped");
  return interrupts.count.load() > 1 ? 130 : 0;
}

}  // namespace mc::bin
