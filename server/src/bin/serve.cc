// `maestro serve`: one replica of a cluster. All share a database; one of them leads, decides and
// writes, the others pass connections on to it and wait to take over.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "bin/data_folder.h"
#include "bin/doors.h"
#include "bin/lease_keeper.h"
#include "bin/listen.h"
#include "bin/server_settings.h"
#include "bin/stack.h"
#include "bin/work.h"
#include "cli/target.h"
#include "cli/version.h"

namespace mc::bin {
namespace {
constexpr Millis kHttpDrain{500};
constexpr Millis kLookAround{1'000};
constexpr Millis kRetry{500};
constexpr Millis kBrief{1'000};
// Set for a replica that starts over: it once had its database, and waits until it has it again.
constexpr const char* kStartsOver = "_MAESTRO_STARTS_OVER";

bool is_passing(const Error& error) {
  return error.code == Code::unreachable || error.code == Code::store_failed;
}

// Where the other replicas reach this one. Errors: invalid_setting.
Result<std::string> own_address(const config::Settings& settings, const std::string& bound) {
  const std::string own = settings.advertise.empty() ? bound : settings.advertise;
  if (const Status known = http::check_address(own); !known.ok())
    return Error{Code::invalid_setting, "MAESTRO_ADVERTISE: " + known.error().message, {}};
  if (own.starts_with("0.0.0.0:") || own.starts_with("[::]:")) {
    return Error{Code::invalid_setting,
                 "MAESTRO_ADVERTISE is not set: a replica that listens on every address has to say "
                 "at which one the others reach it (HOST:PORT)",
                 {}};
  }
  return own;
}

// Begins anew with the same arguments: nothing that was remembered may be used any more.
[[noreturn]] void start_over() {
  constexpr std::size_t kArgumentsMax = 128 << 10;
  Result<std::string> text = read_file("/proc/self/cmdline", kArgumentsMax);
  MC_CHECK(text.ok());
  std::vector<char*> arguments;
  for (std::size_t at = 0; at < text->size(); at = text->find('\0', at) + 1)
    arguments.push_back(text->data() + at);
  arguments.push_back(nullptr);
  ::setenv(kStartsOver, "1", 1);
  ::execv("/proc/self/exe", arguments.data());
  log_error("this replica cannot start over and ends");
  ::_exit(1);
}

class Replica {
 public:
  Replica(config::Settings settings, std::string data)
      : settings_(std::move(settings)), data_(std::move(data)) {}
  Status start(bool migrate, cli::Interrupts& interrupts);
  // Until a signal comes.
  Status run(cli::Interrupts& interrupts);
  void stop();
  const std::string& url() const { return url_; }
  std::string name() const { return settings_.name.empty() ? host_name() : settings_.name; }

 private:
  Status prepare_database(bool migrate);
  Status await_database(bool migrate, cli::Interrupts& interrupts);
  Status check_s3() const;
  Status start_redis();
  Status lead();

  config::Settings settings_;
  std::string data_, url_;
  db::PostgresSettings database_;
  // In the order in which they are made; they end in the reverse.
  ReplicaGate gate_;
  std::unique_ptr<redis::Keeper> redis_;  // null: none
  std::unique_ptr<Stack> stack_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<LeaseKeeper> keeper_;
};

Status Replica::prepare_database(bool migrate) {
  database_.url = settings_.postgres_url;
  database_.migrate = migrate;
  Result<std::unique_ptr<db::Store>> store = db::open_postgres_store(database_);
  if (!store.ok()) return store.error();
  database_.migrate = false;
  const Result<std::string> key = cluster_key(**store, settings_.jwt_secret);
  return key.ok() ? Status() : Status(key.error());
}

// At a first start what is wrong is told at once.
Status Replica::await_database(bool migrate, cli::Interrupts& interrupts) {
  const bool patient = ::getenv(kStartsOver) != nullptr;
  ::unsetenv(kStartsOver);
  for (;;) {
    const Status ready = prepare_database(migrate);
    if (ready.ok() || !patient || !is_passing(ready.error())) return ready;
    gate_.note_database(ready.error().message);
    if (interrupts.wait(1, kRetry)) return ready;
  }
}

// At a first start; one that starts over finds out when it leads.
Status Replica::check_s3() const {
  const auto s3 = s3_settings(settings_);
  return s3 && ::getenv(kStartsOver) == nullptr ? blob::check_s3(*s3) : Status();
}

// At a first start what is wrong is told at once; later it is only logged.
Status Replica::start_redis() {
  Result<std::unique_ptr<redis::Keeper>> redis =
      open_redis(settings_, name(), ::getenv(kStartsOver) != nullptr);
  if (!redis.ok()) return redis.error();
  redis_ = std::move(*redis);
  gate_.watch(redis_.get());
  return {};
}

Status Replica::start(bool migrate, cli::Interrupts& interrupts) {
  if (Status made = make_data_folder(data_); !made.ok()) return made;
  http::ServerOptions listen = server_options(settings_);
  listen.tunnels = true;
  Result<std::unique_ptr<http::Server>> server = start_server(std::move(listen), gate_);
  if (!server.ok()) return server.error();
  server_ = std::move(*server);
  url_ = local_url(server_->address());
  const Result<std::string> own = own_address(settings_, server_->address());
  if (!own.ok()) return own.error();
  if (const Status fine = check_s3(); !fine) return fine;
  if (const Status opened = start_redis(); !opened) return opened;
  if (Status ready = await_database(migrate, interrupts); !ready.ok()) return ready;
  // Short of patience: an answer that comes later than the lease lapses is of no use.
  db::PostgresSettings brief = database_;
  brief.statement_timeout = brief.lock_timeout = brief.connect_timeout = brief.answer_margin =
      kBrief;
  auto lease = db::Lease::open(std::move(brief),
                               {.name = name(), .address = *own, .time = db::Tenure::kTime});
  if (!lease.ok()) return lease.error();
  keeper_ = std::make_unique<LeaseKeeper>(std::move(*lease), name(), *own, gate_, *server_);
  return {};
}

Status Replica::lead() {
  StackOptions options = stack_options(settings_);
  options.folder = data_;
  options.redis = redis_.get();
  options.public_url = settings_.public_url;
  options.cluster_secret = settings_.jwt_secret;
  if (options.collector) options.collector->may_remove = [this] { return gate_.leads(); };
  if (options.s3) options.s3->logs.epoch = keeper_->held().epoch;
  options.open_other_store = [fenced = database_, keeper = keeper_.get(),
                              held = keeper_->held()]() mutable {
    fenced.epoch = held.epoch;
    fenced.holder = held.holder;
    fenced.in_doubt = [keeper] { keeper->doubt(); };
    return db::open_postgres_store(fenced);
  };
  Result<std::unique_ptr<Stack>> stack = Stack::open(options);
  if (!stack.ok()) return stack.error();
  stack_ = std::move(*stack);
  gate_.open(stack_->api());
  log_info("leads", {{"name", name()}, {"epoch", keeper_->held().epoch}});
  return {};
}

Status Replica::run(cli::Interrupts& interrupts) {
  using Role = LeaseKeeper::Role;
  for (Role role = Role::follows; !interrupts.wait(1, Millis(0));) {
    const Role now = keeper_->wait_for_change(role, kLookAround);
    // By its own clock, too: the one that asks may be waiting for an answer.
    if (now == Role::lost || (role == Role::leads && !gate_.leads())) {
      log_warn("this replica no longer leads: it starts over");
      keeper_->give_back();
      start_over();
    }
    if (now == Role::leads && role != Role::leads) {
      if (const Status led = lead(); !led.ok()) {
        if (!is_passing(led.error())) {
          keeper_->give_back();
          return led;
        }
        log_warn("this replica cannot lead: it starts over", {{"reason", led.error().message}});
        keeper_->give_back();
        start_over();
      }
    }
    role = now;
  }
  return {};
}

void Replica::stop() {
  if (stack_) stack_->service().drain();
  server_->drain(kHttpDrain);
  server_->stop();
  stack_.reset();
  keeper_->give_back();
}
}  // namespace

Result<int> serve(const std::string& listen, bool migrate, const cli::Io& io, Signals& signals) {
  cli::Interrupts& interrupts = signals.interrupts();
  interrupts.handled = true;
  config::Pairs flags;
  if (!listen.empty()) flags.emplace_back("--listen", listen);
  Result<config::Settings> settings = load_settings(flags);
  if (!settings.ok()) return settings.error();
  if (const Status fit = config::check_for_cluster(*settings); !fit) return fit.error();
  const std::string data = settings->data.empty() ? cli::data_folder(io) : settings->data;
  Replica replica(std::move(*settings), data);
  if (Status started = replica.start(migrate, interrupts); !started.ok()) return started.error();
  io.out("maestro " + std::string(cli::kVersion) + " replica " + replica.name() + " at " +
         replica.url() + "\n");
  if (Status ran = replica.run(interrupts); !ran.ok()) return ran.error();
  log_info("stopping");
  replica.stop();
  log_info("stopped");
  return interrupts.count.load() > 1 ? 130 : 0;
}

}  // namespace mc::bin
