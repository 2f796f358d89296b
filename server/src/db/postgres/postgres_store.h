// The store of several servers: one schema of a PostgreSQL database (13 or newer), reached through
// libpq, directly or through PgBouncer in transaction mode. docs/internals/store.md has the tables
// and what can go wrong.
//
// A commit is one transaction in one round trip. Replicas share the projects by shards (ADR 0015),
// each with a row of `feeds`, which stays locked from before positions are taken to the end of the
// transaction: a shard's groups become visible in the order of their positions. Commits of
// different shards do not wait for each other; who reads the feed waits for those under way
// (feed.h), so that no reader skips a group.
//
// What is shown is confirmed: a connection that was just opened commits something before it is
// asked, since a server that crashed and came back shows what its standby may lack.
//
// A commit whose answer was lost is looked up, by an id that each commit writes, once the database
// can be reached again: it is then reported as made, or made anew, never twice.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "db/store.h"

namespace mc::db {

struct PostgresSettings {
  std::string url;  // postgres://user:password@host:port/database?…, or libpq's key=value form
  Millis statement_timeout{10'000};
  Millis lock_timeout{5'000};
  Millis connect_timeout{5'000};
  // How much longer than its timeouts allow an answer may take before the connection is given up.
  Millis answer_margin{5'000};
  // How long a commit tries to reach a database that went away, before it is store_failed.
  Millis outage{30'000};
  // Whose lease guards the commits, whose open runs are given, whose row of the feed is locked.
  // What belongs to no shard (partitions, ids of old commits) is kept up by 0.
  int shard = 0;
  // Commits are refused (store_failed) unless the shard's lease has this epoch and holder; 0: no
  // lease, and the open runs of all shards.
  std::int64_t epoch = 0;
  std::string holder;
  // Called when a commit failed that may be made all the same, later, before commit() returns: as
  // long as the lease has this epoch. Thread: that of the commit.
  std::function<void()> in_doubt = [] {};
  int readers = 4;      // connections for reads; one more writes
  bool migrate = true;  // bring the schema up to this build's; false: refuse an older one
};

// Errors: invalid_setting, when the url cannot be read; unreachable, when no server answers there;
// store_failed, when this one cannot be used: wrong password, no such database, older than 13, a
// standby, no rights, a schema that only newer builds can work on, or that is edited, half migrated
// or another program's, no such shard. The message says which and how to mend it, and never has the
// password.
Result<std::unique_ptr<Store>> open_postgres_store(const PostgresSettings& settings);

}  // namespace mc::db
