// Who serves each shard of a cluster, as one replica sees it: its own Stacks, and where others are.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "bin/stack.h"
#include "db/postgres/plan.h"
#include "db/shard.h"

namespace mc::bin {

// Threads: any.
class Seats {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  // Where a shard is served. `stack`: here. Neither: that is not known at the moment.
  struct Seat {
    std::shared_ptr<Stack> stack;
    std::string address;  // HOST:PORT of another replica
  };

  // Before anything else: how many shards there are; it changes only while no replica runs.
  void have(int shards) { count_ = shards; }
  struct Moves {
    bool any = false;               // a shard is led elsewhere than before
    std::vector<std::string> left;  // addresses at which nothing is led any more
  };
  // How things stand, by the database, for the replica at the address `own`; what is led here is so
  // until `until`, unless that is said again: a process that stood still for longer answers nothing
  // from what it remembers.
  Moves learn(const db::Cluster& cluster, const std::string& own, Deadline until);
  // From now on nothing is served here, whatever is learned.
  void shut();
  void open(int shard, std::shared_ptr<Stack> stack);
  // Nothing that comes from now on is served here.
  void close(int shard);
  // Why it cannot be led here: said by standings() until it is open here, or another has taken it.
  void trouble(int shard, std::string why);

  int count() const { return count_.load(); }  // 0: not known yet
  Seat find(int shard) const;
  // Some shard's, one that is served here before others.
  Seat any() const;
  std::vector<std::shared_ptr<Stack>> here() const;
  // Whether what is led here may be answered from memory.
  bool leads() const { return std::chrono::steady_clock::now() < leads_until(); }
  Deadline leads_until() const { return leads_until_.load(); }

  struct Standing {
    int shard = 0;
    std::string leader;  // a replica's name; empty: nobody's at the moment
    bool is_served = false;
    bool is_mine = false;
    std::string trouble;  // see trouble(); empty: none
  };
  std::vector<Standing> standings() const;

 private:
  Seat seat_of(int shard) const;
  struct Place {
    std::string name, address;  // of who leads it; address: empty for this replica
    bool mine = false;
    std::shared_ptr<Stack> stack;
    std::string trouble;
  };

  std::atomic<int> count_ = 0;
  std::atomic<Deadline> leads_until_{Deadline::min()};
  mutable std::shared_mutex mutex_;  // guards what follows, and leads_until_ against shut_
  bool shut_ = false;
  std::array<Place, db::kShardsMax> places_;
};

}  // namespace mc::bin
