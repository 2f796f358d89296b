// One replica of a cluster: leads its share of the shards of projects, with a Stack for each, and
// passes requests for others on.
//
// A Stack is opened and closed on a thread of its own, so that one that takes long keeps neither
// the other shards waiting nor the one thread that decides, which must see within a second that a
// lease is lost or that a signal came. A shard that cannot be opened goes back alone and is tried
// again later, and later each time; what concerns all of them (the database, a setting) has this
// replica start over, or end.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "bin/lease_keeper.h"
#include "bin/replica_gate.h"
#include "bin/seats.h"
#include "bin/shard_calls.h"
#include "bin/shared_limits.h"
#include "bin/signals.h"
#include "bin/stack.h"
#include "bin/token_reader.h"
#include "cli/doors.h"
#include "cluster/lobby.h"
#include "config/settings.h"
#include "db/postgres/postgres_store.h"
#include "http/peers.h"
#include "http/server.h"
#include "redis/keeper.h"

namespace mc::bin {

// Whether this process was another life of a replica, which starts over: it is patient with what it
// once had, and ends in good order at any time.
bool starts_over();

// Thread: one.
class Replica {
 public:
  Replica(config::Settings settings, std::string data)
      : settings_(std::move(settings)), data_(std::move(data)) {}
  ~Replica();
  // Errors: what is wrong, or what it waited for when it was asked to end.
  Status start(bool migrate, cli::Interrupts& interrupts);
  bool was_waiting() const { return waits_; }  // as start() ended
  // Until a signal comes.
  Status run(Signals& signals);
  void stop();
  const std::string& url() const { return url_; }
  std::string name() const;

 private:
  using Moment = LeaseKeeper::Deadline;
  // A shard whose lease this replica has used since it took it.
  struct Held {
    enum class Stage : std::uint8_t { opens, leads, closes, over } stage = Stage::opens;
    db::ShardLease lease;
    std::shared_ptr<Stack> stack = nullptr;  // with those who have a call under way; leads, closes
    Status outcome = {};                     // over: why it could not be opened
    Moment end_by = Moment::max();           // opens, closes
    std::jthread thread = {};                // opens it, closes it; ends with the stage
  };
  Status prepare_database(bool migrate);
  Status await_database(bool migrate, cli::Interrupts& interrupts);
  Status check_s3() const;
  Status start_redis();
  void start_lobby();
  Status open_leases();
  void start_keeper();
  StackOptions options_for(const db::ShardLease& lease);
  void lead(const db::ShardLease& lease);
  void open(const db::ShardLease& lease);
  void leave(Held& held);
  Status reap();
  void spare(const db::ShardLease& lease, const Error& why);
  Status follow_leases(const LeaseKeeper::Keeping& now);
  std::optional<int> overdue();
  Millis patience();
  std::map<int, std::shared_ptr<Stack>> led();
  void ask_around();
  void end();
  [[noreturn]] void begin_anew(Signals& signals);
  conductor::Service::Health health() const;

  config::Settings settings_;
  std::string data_, url_, own_;
  db::PostgresSettings database_;
  // In the order in which they are made; they end in the reverse.
  Seats seats_;
  ReplicaGate gate_{seats_};
  std::unique_ptr<redis::Keeper> redis_;  // null: none
  std::shared_ptr<api::Counts> counts_;
  std::unique_ptr<SharedLimits> limits_;  // null: no Redis
  std::unique_ptr<TokenReader> tokens_;
  std::unique_ptr<db::Leases> leases_;  // until the keeper has them
  std::unique_ptr<http::Peers> peers_;
  std::unique_ptr<ShardCalls> calls_;
  std::unique_ptr<cluster::Lobby> lobby_;
  std::map<int, std::int64_t> given_;  // the last epoch of each that was given back
  std::map<int, Millis> pauses_;  // of shards that could not be opened: before the next attempt
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<LeaseKeeper> keeper_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable moved_;
  std::map<int, Held> held_;
  const bool is_patient_ = starts_over();
  bool waits_ = false;     // for its database
  bool troubled_ = false;  // the keeper's thread's
  std::atomic<bool> misfits_ = false;
};

}  // namespace mc::bin
