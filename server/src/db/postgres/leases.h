// Which of several servers on one database leads which shard: a row for each, that its leader
// renews, with an epoch that grows each time somebody else takes it. A store that is opened with an
// epoch commits only as long as the row has it: the check holds the row against another epoch until
// the commit is made, so a server that stood still for longer than its lease can write nothing
// afterwards (a fencing token, M. Kleppmann, "How to do distributed locking", 2016). Time is the
// database's alone.
//
// Locks. A commit holds its shard's row FOR KEY SHARE. A renewal is an UPDATE that changes no key
// (FOR NO KEY UPDATE): the two do not wait for each other, so that one statement can renew all
// leases while all shards commit. Who takes a lease locks its row FOR UPDATE first, which a commit
// under way does not allow, and waits for nobody (SKIP LOCKED): wait() then ends early, for another
// attempt. Renewals come first in the statement, so no two statements wait for each other.
//
// A commit of which only half has arrived keeps the row until the rest comes: never, when its
// leader stands still or its machine is gone. So who finds the row of a lease locked that lapsed
// more than a second ago ends the sessions that hold it, known by their application_name
// (pg::lease_name) and their lock on the table. The row is locked against renewals meanwhile: those
// of a living leader are not touched. What had not reached its COMMIT is rolled back; a leader that
// wakes finds its connection lost, looks its commit up and makes it anew only under that lease.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "db/postgres/plan.h"
#include "db/postgres/postgres_store.h"
#include "db/postgres/process.h"

namespace mc::db {

namespace pg {
class Connection;
class Rows;
struct Statement;
}  // namespace pg

// Thread: one at a time.
class Leases {
 public:
  struct Claim {
    std::string name;
    std::string address;
    Millis time{3'000};  // for which each is taken
  };
  // What was heard, or may have been missed.
  struct News {
    bool leases = false;  // one was given back or taken, or its holder's process ended: claim
    bool tokens = false;  // some have changed
    std::set<int> ready;  // shards that have jobs for whoever asks
    bool any() const { return leases || tokens || !ready.empty(); }
  };
  // Requires: a schema of this build. Errors: as open_postgres_store.
  static Result<std::unique_ptr<Leases>> open(PostgresSettings settings, Claim claim);
  ~Leases();

  // Renews what this one has, also when it had lapsed and nobody took it; takes those of `wanted`
  // that nobody has, and tells the others; says that this replica is there. One statement, which
  // does not wait for the disk: what a crash of the database takes back had no commit behind it,
  // for that would have made it durable, and its epoch is not mistaken for another's, since commits
  // name the holder, too. Who takes one waits once, for what it is going to read
  // (pg::Connection::settle). What a process of this machine had that has ended is given back for
  // it, without waiting until it lapses. What holds one of `wanted` though it lapsed is ended, for
  // the next claim. Members that are long gone are removed. One that retires takes nothing.
  // Errors: store_failed, unreachable; whether anything was renewed or taken is then not known.
  Result<Cluster> claim(const std::set<int>& wanted);
  // Gives back those of them that this one has, so that others need not wait: they are told.
  // Errors: as claim(); may be called again.
  Status give(const std::set<int>& shards);
  // From now on claims say that this replica is about to stop: it is no member.
  void retire() { retired_ = true; }
  // Gives all back, and is no member any more; the others are told. Errors: as give().
  Status leave();

  // Until there are news, wake() was called, or the time came. Behind a pool nobody is told
  // anything: what is free is seen by the next claim.
  News wait(std::chrono::steady_clock::time_point until);
  // Ends the wait() under way, or else the next one. Thread: any.
  void wake();
  // Tells the others that the shard has jobs for whoever asks. Does not wait for the disk.
  // Errors: as claim().
  Status tell_ready(int shard);
  // Whether notifications reach this one: not behind a pool. Of the last connection.
  bool hears() const { return hears_; }

  // As others see this one.
  Member self() const { return {holder_, claim_.name, claim_.address}; }

 private:
  Leases(PostgresSettings settings, Claim claim);
  Result<pg::Connection*> connection();
  Result<Cluster> ask(const std::set<int>& wanted);
  Status settle();
  void watch(const Cluster& found);
  bool bury();     // of those who ended; false: there are none
  void cut_off();  // those who hold overdue_
  Status send(pg::Statement statement);
  void hear(News& news);
  void note_skipped(const Cluster& found, const pg::Rows& rows, const std::set<int>& wanted);

  const PostgresSettings settings_;
  const Claim claim_;
  const std::string holder_;        // of this object, unlike any other's
  const std::string lock_timeout_;  // in ms
  const int woken_;                 // eventfd
  std::unique_ptr<pg::Connection> connection_;
  bool connected_before_ = false, hears_ = false, retired_ = false;
  std::map<int, std::int64_t> epochs_;           // of what it has, by the last answer
  std::map<int, std::int64_t> settled_;          // epochs of take-overs that were waited for
  std::set<int> known_;                          // all shards
  std::map<std::string, ProcessWatch> watches_;  // of the other holders
  News missed_;                                  // while there was no connection
  std::map<int, std::int64_t> cut_;              // overdue_ whose sessions were ended last
  std::map<int, std::int64_t> overdue_;          // wanted, lapsed long ago and held: their epochs
  Millis again_{0};  // in which to try again what somebody held; 0: nothing was held
};

}  // namespace mc::db
