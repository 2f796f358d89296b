// A real PostgreSQL of this test process alone: its own folder, socket and data, with fsync on. It
// goes with the process, also when that is killed.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "db/postgres/connection.h"
#include "db/postgres/postgres_store.h"

namespace mc::db::contract {

class PostgresServer {
 public:
  enum class Role { primary, standby };
  // Initialises and starts one, and waits until it answers. Requires: missing().empty().
  explicit PostgresServer(Role role = Role::primary);
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // Why there can be none on this machine; empty: there can.
  static const std::string& missing();
  // The one that all tests of this process share, started when first asked for. Its user `locked`
  // needs a password, all others need none.
  static PostgresServer& shared();

  // A database with nothing in it.
  std::string fresh_database();
  void drop_database(const std::string& name);
  std::string url(const std::string& database, const std::string& user = "postgres") const;
  std::string socket() const;

  void start();
  void stop();   // lets everybody finish nothing: sessions end, data is checkpointed
  void crash();  // at once, as if the machine's power went for the processes
  // Statements in one text, each for itself; they must succeed. Gives the first column of the first
  // row of the last one, as the server writes it.
  std::string run(const std::string& database, const std::string& sql);

 private:
  void signal_and_wait(int signal);

  std::string folder_;
  pid_t pid_ = 0;
  int databases_ = 0;
};

// A real PgBouncer before the shared server: transaction mode, each transaction another session.
// It goes with the process, as the server does.
class PgBouncer {
 public:
  // Requires: missing().empty().
  PgBouncer();
  ~PgBouncer();
  PgBouncer(const PgBouncer&) = delete;
  PgBouncer& operator=(const PgBouncer&) = delete;

  // Why there can be none on this machine, or no PostgreSQL; empty: there can.
  static const std::string& missing();
  static PgBouncer& shared();
  std::string url(const std::string& database) const;

 private:
  std::string folder_;
  pid_t pid_ = 0;
};

// A database of the shared server that goes when this does.
class TempDatabase {
 public:
  TempDatabase() : name_(PostgresServer::shared().fresh_database()) {}
  ~TempDatabase() { PostgresServer::shared().drop_database(name_); }
  TempDatabase(const TempDatabase&) = delete;
  TempDatabase& operator=(const TempDatabase&) = delete;
  const std::string& name() const { return name_; }
  PostgresSettings settings() const { return {.url = PostgresServer::shared().url(name_)}; }
  std::string run(const std::string& sql) const { return PostgresServer::shared().run(name_, sql); }
  // Ends its sessions and takes no others, until it is open again.
  void shut() const;
  void open() const;

 private:
  std::string name_;
};

}  // namespace mc::db::contract
