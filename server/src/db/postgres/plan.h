// How the replicas of a cluster share its shards: what one of them should take and give, judged
// from what the database said. Pure. All judge alike; what they saw may be of different moments.
//
// A fair share is the number of shards by the number of living replicas, rounded up for as many of
// them as it takes (those that have most already; of equals, those whose holder comes first) and
// down for the rest. Who has more gives the highest numbers back; nobody else ever gives. Who has
// less takes of what is free, and of that nothing which another is due. So each action, whatever
// the others do, brings the cluster no further from even shares, and there is nothing to undo.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mc::db {

// Who leads a shard.
struct ShardLease {
  int shard = 0;
  std::int64_t epoch = 0;  // grows each time that another one takes it
  std::string holder;      // unlike any other; empty: it was given back
  std::string name;        // of the replica, for people; empty: nobody ever led
  std::string address;     // HOST:PORT at which others reach it; empty: nobody leads at the moment
  bool mine = false;       // of the one that asked
  bool operator==(const ShardLease&) const = default;
};

// A living replica that goes on living: one that is about to stop counts for no share.
struct Member {
  std::string holder, name, address;  // as above
  bool operator==(const Member&) const = default;
};

// As the database has it: each shard once, by number; each member once.
struct Cluster {
  std::vector<ShardLease> shards;
  std::vector<Member> members;
};

struct Plan {
  std::set<int> take;  // that nobody has
  std::set<int> give;  // of its own
};
// One of the two at least is empty. A replica that is no member gives all that it has.
Plan plan(const Cluster& cluster, std::string_view own_holder);

}  // namespace mc::db
