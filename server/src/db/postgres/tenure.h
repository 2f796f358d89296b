// Which shards one replica leads, and until when, judged from what the database said of the leases
// (leases.h) and when it was asked. One statement renews all of them, so one moment holds for all.
// Pure: time is an argument, of a clock that never goes back; that of the database is another one,
// and the two are never compared.
#pragma once

#include <chrono>
#include <map>

#include "base/time.h"
#include "db/postgres/plan.h"

namespace mc::db {

class Tenure {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  // A leader that cannot renew stops serving when the time is over, by its own clock, counted from
  // before it asked: others wait for as long by the database's, counted from when it answered.
  static constexpr Millis kTime{3'000};
  static constexpr Millis kEvery{1'000};
  // After a claim that failed: a database that refused for less than the lease is heard of while
  // there is time to renew it.
  static constexpr Millis kAgain{200};

  // A claim that was sent at `asked` was answered: this replica leads what is its own, and has lost
  // all when a shard that it led is another's, or was in between. Requires: not lost().
  void answered(const Cluster& found, Moment asked);
  // A claim was not answered: whether it was made is not known. Requires: not lost().
  void missed(Moment now);
  // It leads the shard no longer, of its own will. Comes before the lease is given back; until it
  // is, and taken anew, that lease counts for nothing.
  void gave(int shard);

  // A replica that has lost a lease stays so: what it remembers may be wrong, and it starts over.
  bool lost() const { return lost_; }
  // Whether it may answer from what it remembers of the shard.
  bool leads(int shard, Moment now) const {
    return !lost_ && now < until_ && held_.contains(shard);
  }
  // Until when, unless it is said again. Requires: answered() was called.
  Moment until() const { return until_; }
  // What it leads, each lease as it was when that began. Empty when lost().
  const std::map<int, ShardLease>& held() const { return held_; }

 private:
  void lose();

  bool lost_ = false;
  std::map<int, ShardLease> held_;
  std::map<int, std::int64_t> given_;  // shard: the epoch that is over for this replica
  Moment until_ = Moment::min();
};

}  // namespace mc::db
