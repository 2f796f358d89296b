// One replica of a world: what `maestro serve` is, without threads. The production Tenure says
// whether it leads, the production Core decides while it does, each commit names its lease. It is
// driven as bin/lease_keeper.cc, bin/replica_gate.cc and bin/serve.cc drive theirs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "db/faulty/faulty_store.h"
#include "db/postgres/tenure.h"
#include "sim/checker.h"
#include "sim/core_loop.h"
#include "sim/database.h"
#include "sim/network.h"
#include "sim/servers.h"
#include "sim/store_client.h"

namespace mc::sim {

class ReplicaNode final : private CoreLoop::Process {
 public:
  // What it shares with the others. All outlive it.
  struct Site {
    Timeline& timeline;
    const Faults& faults;
    Network& network;
    Database& database;
    Checker& checker;
    const conductor::Options& options;
    // Where a name leads; null: nowhere.
    std::function<ReplicaNode*(const std::string&)> find;
  };
  // `pace`: of its clocks; 1: that of the database's.
  ReplicaNode(std::string name, const Site& site, double pace, std::uint64_t seed);

  void boot();
  // A request has come, straight or `passed_on` by another replica.
  void receive(Call call, bool passed_on = false);
  // What the database tells those who listen.
  void hear_of_release();

  void crash();
  void pause(Millis time);
  // SIGTERM: makes durable what it decided, gives the lease back, ends, starts again.
  void stop();
  void jump_clock(Millis by);
  void calm();

  const std::string& name() const { return name_; }
  // Whether it would serve a request now.
  bool serves();
  // Requires: serves().
  conductor::Core& core() { return loop_->core(); }
  std::optional<Instant> up();
  std::int64_t crashes() const { return crashes_; }
  std::int64_t injected() const { return injected_ + reads_.faults(); }

 private:
  // CoreLoop::Process
  Instant clock() override;
  Millis skew() const override { return skew_; }
  bool stands_still() const override { return paused_; }
  void later(Millis delay, std::function<void()> action) override;
  void write(const CoreLoop::Pending& commit) override;
  void read_back(Instant now) override { site_.checker.recovered(now); }
  void drained() override;

  void begin_life();
  void end_life();
  void restart_after(Millis delay);
  // As exec does: what was remembered is gone.
  void start_over();
  void give_back();
  // The lease.
  db::Tenure::Moment moment() const;
  void claim();
  void claim_at(Instant when);
  void take(const db::ShardLease& found, db::Tenure::Moment asked);
  void miss();
  void look_around();
  bool leads() const;  // as far as it was told
  void lead();
  // The gate.
  void route(const Call& call, bool passed_on, Instant until);
  void serve(const Call& call);
  void pass_on(const Call& call, const std::string& leader);
  void committed(const CoreLoop::Pending& commit, const Status& result);
  void watch_database();

  const std::string name_;
  const Site site_;
  const double pace_;
  const Instant born_;
  Rng rng_;
  bool calm_ = false;
  db::FaultyStore reads_;
  std::optional<bool> reads_fail_;  // as they are armed
  std::int64_t life_ = 0;           // counts starts and ends
  bool alive_ = false, paused_ = false, stopping_ = false;
  std::vector<std::function<void()>> held_;  // what the process will do when it goes on
  // One life's:
  std::string holder_;
  db::Tenure tenure_;
  std::string leader_;           // the other replica that leads; empty: not known
  std::int64_t tunnels_ = 0;     // counts the times that connections passed on were cut
  std::int64_t next_claim_ = 0;  // the last one that was planned
  bool waits_ = false, told_ = false;
  std::unique_ptr<StoreClient> writer_;
  std::unique_ptr<CoreLoop> loop_;  // null: does not serve
  Millis skew_{0};
  Instant last_clock_;
  std::int64_t crashes_ = 0, injected_ = 0;
};

}  // namespace mc::sim
