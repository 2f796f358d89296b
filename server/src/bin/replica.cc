#include "bin/replica.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "bin/data_folder.h"
#include "bin/listen.h"
#include "bin/work.h"
#include "cluster/shards.h"
#include "db/postgres/migrate.h"

namespace mc::bin {
namespace {
constexpr Millis kHttpDrain{500};
constexpr Millis kLookAround{1'000};
constexpr Millis kRetry{500};
constexpr Millis kBrief{1'000};
// A shard that is left: longer than its logs may take to be in a bucket.
constexpr Millis kLeaveMax{20'000};
constexpr Millis kOpenMax{600'000};  // of as many runs as there may be
// Before the next attempt to open a shard: doubled with each.
constexpr Millis kSpareLeast{1'000}, kSpareMost{60'000};
// Set for a replica that starts over: it once had its database, and waits until it has it again.
constexpr const char* kStartsOver = "_MAESTRO_STARTS_OVER";

bool is_passing(const Error& error) {
  return error.code == Code::unreachable || error.code == Code::store_failed ||
         error.code == Code::schema_unfit;
}

// Not of one shard: with another it would be the same. Where leases are renewed the database is
// there, though it may have no room for one connection more.
bool is_of_all(const Error& error, bool renews) {
  return (error.code == Code::unreachable && !renews) || error.code == Code::schema_unfit ||
         error.code == Code::invalid_setting;
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
}  // namespace

// Asked once, before there is a thread: what this process starts must not hear of it.
bool starts_over() {
  static const bool does = [] {
    const bool is_set = ::getenv(kStartsOver) != nullptr;
    ::unsetenv(kStartsOver);
    return is_set;
  }();
  return does;
}

std::string Replica::name() const { return settings_.name.empty() ? host_name() : settings_.name; }

Status Replica::prepare_database(bool migrate) {
  database_.url = settings_.postgres_url;
  database_.migrate = migrate;
  Result<std::unique_ptr<db::Store>> store = db::open_postgres_store(database_);
  if (!store.ok()) return store.error();
  database_.migrate = false;
  if (const auto key = cluster_key(**store, settings_.jwt_secret); !key.ok()) return key.error();
  const Result<db::SchemaStatus> schema = db::migrate_status(database_);
  if (!schema.ok()) return schema.error();
  seats_.have(schema->shards);
  Result<std::unique_ptr<TokenReader>> tokens = TokenReader::start(std::move(*store));
  if (!tokens.ok()) return tokens.error();
  tokens_ = std::move(*tokens);
  return open_leases();
}

// At a first start what is wrong is told at once.
Status Replica::await_database(bool migrate, cli::Interrupts& interrupts) {
  for (;;) {
    const Status ready = prepare_database(migrate);
    waits_ = !ready.ok() && is_patient_ && is_passing(ready.error());
    if (!waits_) return ready;
    gate_.note_database(ready);
    if (interrupts.wait(1, kRetry)) return ready;
  }
}

// At a first start; one that starts over finds out when it leads.
Status Replica::check_s3() const {
  const auto s3 = s3_settings(settings_);
  return s3 && !is_patient_ ? blob::check_s3(*s3) : Status();
}

// At a first start what is wrong is told at once; later it is only logged.
Status Replica::start_redis() {
  Result<std::unique_ptr<redis::Keeper>> redis = open_redis(settings_, name(), is_patient_);
  if (!redis.ok()) return redis.error();
  redis_ = std::move(*redis);
  gate_.watch(redis_.get());
  return {};
}

void Replica::start_lobby() {
  counts_ = std::make_shared<api::Counts>(stack_options(settings_).rate_limit);
  if (redis_) limits_ = std::make_unique<SharedLimits>(counts_->limiter, *redis_);
  peers_ = std::make_unique<http::Peers>();
  calls_ = std::make_unique<ShardCalls>(seats_, *peers_);
  lobby_ = std::make_unique<cluster::Lobby>(*calls_, system_clock(), cluster::LobbyOptions{},
                                            [this](int shard) { keeper_->tell_ready(shard); });
}

Status Replica::open_leases() {
  // Short of patience: an answer that comes later than the lease lapses is of no use.
  db::PostgresSettings brief = database_;
  brief.statement_timeout = brief.lock_timeout = brief.connect_timeout = brief.answer_margin =
      kBrief;
  auto leases = db::Leases::open(std::move(brief),
                                 {.name = name(), .address = own_, .time = db::Tenure::kTime});
  if (!leases.ok()) return leases.error();
  leases_ = std::move(*leases);
  return {};
}

void Replica::start_keeper() {
  LeaseKeeper::Listeners listeners;
  listeners.database = [this](const Status& answers) {
    gate_.note_database(answers);
    // What was notified meanwhile was not heard.
    if (answers.ok() && troubled_) tokens_->refresh();
    troubled_ = !answers.ok();
  };
  listeners.claimed = [this](const db::Cluster& cluster, LeaseKeeper::Deadline until) {
    // They were changed before this replica was seen.
    misfits_ = static_cast<int>(cluster.shards.size()) != seats_.count();
    if (misfits_) return;
    const Seats::Moves moves = seats_.learn(cluster, own_, until);
    for (const std::string& address : moves.left) server_->cut_tunnels(address);
    if (moves.any) lobby_->shards_changed();
  };
  listeners.news = [this](const db::Leases::News& news) {
    if (news.tokens) tokens_->refresh();
    for (const int shard : news.ready) {
      if (!calls_->is_here(shard)) lobby_->ready(shard, false);
    }
  };
  listeners.lost = [this] { seats_.shut(); };
  gate_.open(*tokens_, *lobby_, *calls_);
  keeper_ = std::make_unique<LeaseKeeper>(std::move(leases_), std::move(listeners));
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
  own_ = *own;
  if (const Status fine = check_s3(); !fine) return fine;
  if (const Status opened = start_redis(); !opened) return opened;
  if (Status ready = await_database(migrate, interrupts); !ready.ok()) return ready;
  start_lobby();
  start_keeper();
  return {};
}

// Of what is led here, together.
conductor::Service::Health Replica::health() const {
  conductor::Service::Health all{.ready = true};
  for (const auto& stack : seats_.here()) {
    const conductor::Service::Health each = stack->service().health();
    all.ready = all.ready && each.ready;
    if (all.detail.empty()) all.detail = each.detail;
    all.open_runs += each.open_runs;
    all.ready_jobs += each.ready_jobs;
    all.running_jobs += each.running_jobs;
    all.workers = std::max(all.workers, each.workers);  // each knows all of them
    all.commits += each.commits;
    all.events += each.events;
    all.runs_started += each.runs_started;
    all.jobs_finished += each.jobs_finished;
    all.stuck_runs += each.stuck_runs;
  }
  return all;
}

StackOptions Replica::options_for(const db::ShardLease& lease) {
  const int shards = seats_.count();
  StackOptions options = stack_options(settings_);
  options.folder = data_;
  options.redis = redis_.get();
  options.public_url = settings_.public_url;
  options.cluster_secret = settings_.jwt_secret;
  options.tokens = tokens_->table();
  options.counts = counts_;
  options.health = [this] { return health(); };
  options.housekeeps = lease.shard == 0;
  options.shard = lease.shard;
  options.shards = shards;
  if (shards > 1) {
    options.task_prefix = cluster::task_prefix(lease.shard);
    options.on_ready = [this, shard = lease.shard] { lobby_->ready(shard, true); };
  }
  if (options.collector) options.collector->may_remove = [this] { return seats_.leads(); };
  if (options.s3) {
    options.s3->logs.epoch = lease.epoch;
    // Copies are bounded in each folder; a log is appended to by who leads its shard.
    if (shards > 1) options.folder += "/shard-" + std::to_string(lease.shard);
    options.s3->cache_bytes_max /= shards;
  }
  options.open_other_store = [fenced = database_, keeper = keeper_.get(), lease]() mutable {
    fenced.shard = lease.shard;
    fenced.epoch = lease.epoch;
    fenced.holder = lease.holder;
    fenced.in_doubt = [keeper] { keeper->doubt(); };
    return db::open_postgres_store(fenced);
  };
  return options;
}

// On a thread of its own: waits for the database, and for all open runs to be read.
void Replica::open(const db::ShardLease& lease) {
  const StackOptions options = options_for(lease);
  const Status made = make_data_folder(options.folder);
  Result<std::unique_ptr<Stack>> stack =
      made.ok() ? Stack::open(options) : Result<std::unique_ptr<Stack>>(made.error());
  const std::lock_guard lock(mutex_);
  Held& held = held_.at(lease.shard);
  if (stack.ok()) {
    held.stack = std::move(*stack);
    held.stage = Held::Stage::leads;
    seats_.open(lease.shard, held.stack);
    log_info("leads", {{"name", name()}, {"shard", lease.shard}, {"epoch", lease.epoch}});
    lobby_->shards_changed();
    // What was ready as it began was said before it could be asked: nobody would come for it.
    lobby_->ready(lease.shard, true);
  } else {
    held.stage = Held::Stage::over;
    held.outcome = stack.error();
  }
  moved_.notify_all();
}

// Requires: mutex_ is held, the shard is not among held_.
void Replica::lead(const db::ShardLease& lease) {
  Held& held = held_[lease.shard];
  held.lease = lease;
  held.end_by = std::chrono::steady_clock::now() + kOpenMax;
  held.thread = std::jthread([this, lease] { open(lease); });
}

// On a thread of its own: waits for its commits, and for its logs to be where others find them.
// Requires: mutex_ is held, the shard is led.
void Replica::leave(Held& held) {
  const int shard = held.lease.shard;
  seats_.close(shard);
  held.stage = Held::Stage::closes;
  held.end_by = std::chrono::steady_clock::now() + kLeaveMax;
  held.thread = std::jthread([this, shard, closed = held.stack]() mutable {
    closed->close();
    closed.reset();
    log_info("leads no longer", {{"name", name()}, {"shard", shard}});
    keeper_->gave(shard);
    const std::lock_guard lock(mutex_);
    held_.at(shard).stage = Held::Stage::over;
    moved_.notify_all();
  });
  held.stack.reset();
}

// It alone goes back, so that the others are served and other replicas may try.
void Replica::spare(const db::ShardLease& lease, const Error& why) {
  Millis& pause = pauses_[lease.shard];
  pause = std::clamp(2 * pause, kSpareLeast, kSpareMost);
  log_error("this replica cannot lead a shard: it tries again later",
            {{"name", name()},
             {"shard", lease.shard},
             {"reason", why.message},
             {"problem", why.problems.empty() ? "" : why.problems.front().message},
             {"again_in_ms", pause.count()}});
  seats_.trouble(lease.shard, why.message);
  given_[lease.shard] = lease.epoch;
  keeper_->gave(lease.shard, std::chrono::steady_clock::now() + pause);
}

// Takes in what the threads have done. Requires: mutex_ is held. Errors: what is wrong with all.
Status Replica::reap() {
  Status all;
  for (auto it = held_.begin(); it != held_.end();) {
    const Held& held = it->second;
    if (held.stage == Held::Stage::leads) pauses_.erase(it->first);
    if (held.stage != Held::Stage::over) {
      ++it;
      continue;
    }
    if (!held.outcome.ok() && is_of_all(held.outcome.error(), seats_.leads()))
      all = held.outcome;
    else if (!held.outcome.ok())
      spare(held.lease, held.outcome.error());
    it = held_.erase(it);
  }
  return all;
}

// Nothing that runs is waited for: what it still writes is refused, or another's to find.
// A signal is taken by this life or by the next.
void Replica::begin_anew(Signals& signals) {
  seats_.shut();
  keeper_->give_back();
  signals.leave_them();
  if (const int count = signals.interrupts().count.load(); count > 0) {
    log_info("stopped");
    ::_exit(count > 1 ? 130 : 0);
  }
  start_over();
}

Status Replica::follow_leases(const LeaseKeeper::Keeping& now) {
  const std::lock_guard lock(mutex_);
  if (Status all = reap(); !all.ok()) return all;
  for (auto& [shard, held] : held_) {
    const auto lease = now.held.find(shard);
    const bool is_held = lease != now.held.end() && lease->second.epoch == held.lease.epoch;
    if (held.stage != Held::Stage::leads || (is_held && !now.give.contains(shard))) continue;
    given_[shard] = held.lease.epoch;
    leave(held);
  }
  for (const auto& [shard, lease] : now.held) {
    // One that was given: the keeper has not heard yet.
    if (given_[shard] == lease.epoch || held_.contains(shard)) continue;
    if (now.give.contains(shard)) {
      given_[shard] = lease.epoch;
      keeper_->gave(shard);
    } else {
      lead(lease);
    }
  }
  return {};
}

// A shard that is not open, or does not end, in time.
std::optional<int> Replica::overdue() {
  const std::lock_guard lock(mutex_);
  for (const auto& [shard, held] : held_) {
    const bool moves = held.stage == Held::Stage::opens || held.stage == Held::Stage::closes;
    if (moves && std::chrono::steady_clock::now() >= held.end_by) return shard;
  }
  return std::nullopt;
}

std::map<int, std::shared_ptr<Stack>> Replica::led() {
  std::map<int, std::shared_ptr<Stack>> stacks;
  const std::lock_guard lock(mutex_);
  for (const auto& [shard, held] : held_)
    if (held.stage == Held::Stage::leads) stacks.emplace(shard, held.stack);
  return stacks;
}

// Behind a pool nobody is told of anything.
void Replica::ask_around() {
  tokens_->refresh();
  const auto stacks = led();
  for (int shard = 0; shard < seats_.count(); ++shard) {
    if (!stacks.contains(shard)) lobby_->ready(shard, false);
  }
}

// Until the moment at which what it leads would not be its own any more: it says so then, before
// anybody says to lead it.
Millis Replica::patience() {
  if (led().empty()) return kLookAround;
  const auto until = seats_.leads_until(), now = std::chrono::steady_clock::now();
  return until <= now ? Millis(0) : std::min(std::chrono::ceil<Millis>(until - now), kLookAround);
}

Status Replica::run(Signals& signals) {
  cli::Interrupts& interrupts = signals.interrupts();
  for (std::uint64_t version = 0; !interrupts.wait(1, Millis(0));) {
    const LeaseKeeper::Keeping now = keeper_->wait_for_change(version, patience());
    version = now.version;
    // By its own clock, too: the one that asks may be waiting for an answer.
    if (now.lost || misfits_ || (!led().empty() && !seats_.leads())) {
      log_warn("this replica no longer leads: it starts over");
      begin_anew(signals);
    }
    if (const auto shard = overdue()) {
      log_warn("a shard is not opened, or does not end, in time: this replica starts over",
               {{"shard", *shard}});
      begin_anew(signals);
    }
    if (!keeper_->hears()) ask_around();
    const Status followed = follow_leases(now);
    if (followed.ok()) continue;
    if (!is_passing(followed.error())) {
      seats_.shut();
      keeper_->give_back();
      return followed;
    }
    log_warn("this replica cannot lead: it starts over", {{"reason", followed.error().message}});
    begin_anew(signals);
  }
  return {};
}

void Replica::stop() {
  keeper_->retire();
  for (const auto& [shard, stack] : led()) stack->service().drain();
  server_->drain(kHttpDrain);
  end();
  keeper_->give_back();
}

// Who calls others ends before them. What does not end in time is left: the leases go back, so that
// nothing of it is written any more.
void Replica::end() {
  if (server_) server_->stop();
  if (lobby_) lobby_->stop();
  const auto until = std::chrono::steady_clock::now() + kLeaveMax;
  std::unique_lock lock(mutex_);
  for (;;) {
    static_cast<void>(reap());  // what could not be opened need not end
    for (auto& [shard, held] : held_)
      if (held.stage == Held::Stage::leads) leave(held);
    if (held_.empty()) return;
    if (std::chrono::steady_clock::now() >= until) break;
    moved_.wait_until(lock, until);
  }
  log_warn("a shard does not end: this replica ends without it", {{"shard", held_.begin()->first}});
  keeper_->give_back();
  ::_exit(1);
}

Replica::~Replica() {
  end();
  keeper_.reset();
}

}  // namespace mc::bin
