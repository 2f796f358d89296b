// Which of several servers on one database leads: a row that the leader renews, with an epoch that
// grows each time somebody else takes it. A store that is opened with an epoch commits only as long
// as the row has it: the check holds the row against a change until the commit is made, so a server
// that stood still for longer than its lease can write nothing afterwards (a fencing token, M.
// Kleppmann, "How to do distributed locking", 2016). Time is the database's alone.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "db/postgres/postgres_store.h"
#include "db/postgres/process.h"

namespace mc::db {

namespace pg {
class Connection;
}

// Who leads, as the database has it.
struct Leadership {
  std::string holder;   // the lease that has it, unlike any other; empty: none has
  std::string name;     // of the replica, for people; empty: nobody ever led
  std::string address;  // HOST:PORT at which others reach it; empty: nobody leads at the moment
  std::int64_t epoch = 0;
  bool mine = false;
};

// Thread: one at a time.
class Lease {
 public:
  struct Claim {
    std::string name;
    std::string address;
    Millis time{3'000};  // for which it is taken
  };
  // Requires: a schema of this build. Errors: as open_postgres_store.
  static Result<std::unique_ptr<Lease>> open(PostgresSettings settings, Claim claim);
  ~Lease();

  // Takes the lease when nobody has it, renews it when this one does; one statement, which does not
  // wait for the disk: what a crash of the database takes back had no commit behind it, for that
  // would have made it durable, and its epoch is not mistaken for another's, since commits name the
  // holder, too. Who takes it waits once, for what it is going to read (pg::Connection::settle).
  // Of a process of this machine that has ended, it is taken without waiting until it lapses.
  // Errors: store_failed, unreachable; whether it was renewed is then not known.
  Result<Leadership> claim();
  // Gives it back, if this one has it, so that another one need not wait: who waits below is told.
  Status release();
  // Until somebody gave the lease back, the process that has it ended (on this machine), wake() was
  // called, or the time came. Behind a pool nobody is told of what was given back.
  void wait(std::chrono::steady_clock::time_point until);
  // Ends this and every later wait(). Thread: any.
  void wake();

 private:
  Lease(PostgresSettings settings, Claim claim);
  Result<pg::Connection*> connection();
  Result<Leadership> ask();
  Status give_back(const std::string& holder);

  const PostgresSettings settings_;
  const Claim claim_;
  const std::string holder_;        // of this object, unlike any other's
  const std::string lock_timeout_;  // in ms
  const int woken_;                 // eventfd
  std::unique_ptr<pg::Connection> connection_;
  std::int64_t settled_epoch_ = -1;  // of the last take-over that was waited for
  std::string watched_;              // the other holder whose process is watched
  ProcessWatch watch_;
};

}  // namespace mc::db
