// Replicas on one database: which of them clients reach, which one a fault hits, and whether they
// agree at the end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/database.h"
#include "sim/replica_node.h"
#include "sim/servers.h"

namespace mc::sim {

class Cluster final : public Servers {
 public:
  struct Plan {
    int replicas = 3;
    ClusterFaults faults;
  };
  // All but `plan` outlive it.
  Cluster(const Plan& plan, Timeline& timeline, const Faults& faults, Network& network,
          const conductor::Options& options, Checker& checker, std::uint64_t seed);

  void boot() override;
  int count() const override { return static_cast<int>(replicas_.size()); }
  std::string name(int server) const override;
  void receive(int server, Call call) override;
  db::Store& disk() override { return database_.disk(); }

  void crash() override { some_replica().crash(); }
  void pause(Millis time) override { some_replica().pause(time); }
  void drain() override { some_replica().stop(); }
  void jump_clock(Millis by) override { some_replica().jump_clock(by); }
  void calm() override;

  Database& database() { return database_; }
  const ClusterFaults& faults() const { return faults_; }
  // The leader, mostly.
  ReplicaNode& some_replica();

  std::optional<Instant> up() override;
  void compare() override;
  std::int64_t crashes() const override;
  std::int64_t commits() const override { return database_.commits(); }
  std::int64_t takeovers() const override { return database_.takeovers(); }
  std::int64_t injected() const override;

 private:
  ReplicaNode* leader();

  Timeline& timeline_;
  const ClusterFaults faults_;
  const conductor::Options& options_;
  Checker& checker_;
  Rng rng_;
  Database database_;
  std::vector<std::unique_ptr<ReplicaNode>> replicas_;
};

}  // namespace mc::sim
