// Takes and keeps a cluster's lease, on a thread of its own: asks every second and when the leader
// gave it back; tells the gate who leads, and tells the replica when that is itself, or no
// longer.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "bin/replica_gate.h"
#include "db/postgres/lease.h"
#include "db/postgres/tenure.h"
#include "http/server.h"

namespace mc::bin {

// Threads: any may call.
class LeaseKeeper {
 public:
  using Role = db::Tenure::Role;

  // Both outlive this. `name` and `own`, the address that this replica is reached at, are those of
  // the lease's claim.
  LeaseKeeper(std::unique_ptr<db::Lease> lease, std::string name, std::string own,
              ReplicaGate& gate, http::Server& server);
  ~LeaseKeeper();  // does not give the lease back
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  Role role() const;
  db::Leadership held() const;  // Requires: role() is leads
  // Waits until the role is another one than `role`, at most `patience`.
  Role wait_for_change(Role role, Millis patience);
  // What this replica remembers is no longer certain: it is as one that has lost the lease, which
  // it still has to give back.
  void doubt();
  // Stops asking; gives the lease back, so that another replica takes over at once.
  void give_back();

 private:
  void keep();
  void take(const db::Leadership& found, ReplicaGate::Deadline asked);
  void follow(const db::Leadership& found);
  void miss(const Error& error, ReplicaGate::Deadline now);
  void become(Role role);
  void stop();

  const std::unique_ptr<db::Lease> lease_;
  const std::string name_, own_;
  ReplicaGate& gate_;
  http::Server& server_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  Role role_ = Role::follows;
  db::Leadership held_;
  bool stopping_ = false;
  // The thread's own:
  db::Tenure tenure_;
  std::string leader_;  // its address
  bool troubled_ = false;
  std::thread thread_;
};

}  // namespace mc::bin
