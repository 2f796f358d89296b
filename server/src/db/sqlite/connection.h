// One connection to SQLite and the statements on it. A connection, with every Query on it, belongs
// to one thread at a time.
#pragma once

#include <sqlite3.h>

#include <concepts>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "base/uuid.h"

namespace mc::db {

class Connection {
 public:
  enum class Mode { read, write };
  static constexpr int kBusyMs = 5'000;  // how long a call waits for a lock
  // Never checkpoints by itself, not even on close. Errors: store_failed.
  static Result<std::unique_ptr<Connection>> open(const std::string& path, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs statements that give no rows. Errors: store_failed.
  Status run(const std::string& sql);
  // What the last call on this connection failed with, in words for an operator.
  Error last_error() const;
  // Whether what failed last makes the connection itself doubtful (I/O, corruption).
  bool is_doubtful() const;
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  std::int64_t changes() const { return sqlite3_changes64(db_); }
  std::int64_t last_row() const { return sqlite3_last_insert_rowid(db_); }
  sqlite3* get() { return db_; }

 private:
  friend class Query;
  explicit Connection(sqlite3* db) : db_(db) {}
  struct Kept {
    sqlite3_stmt* statement = nullptr;
    bool in_use = false;
  };
  // The statement for `sql`, compiled once; nullptr when it cannot be.
  Kept* take(std::string_view sql);

  sqlite3* db_;
  std::map<std::string, Kept, std::less<>> kept_;  // at most kStatementsMax, and those in use
};

// One use of a statement: bound when made, stepped with next(), reset when it goes.
//   Query q(connection, "SELECT json FROM records WHERE kind = ?", kind);
//   while (q.next()) use(q.text(0));
//   if (q.failed()) return q.error();
// Requires: bound texts outlive the Query. At most one Query of the same text at a time.
class Query {
 public:
  template <class... Args>
  Query(Connection& connection, std::string_view sql, const Args&... args)
      : connection_(connection), kept_(connection.take(sql)) {
    if (kept_ == nullptr) {
      state_ = SQLITE_ERROR;
      return;
    }
    statement_ = kept_->statement;
    (bind(args), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Binds the next parameter.
  void bind(std::string_view text);
  void bind(const std::string& text) { bind(std::string_view(text)); }
  void bind(std::string&&) = delete;
  void bind(Uuid id);
  void bind(Instant at) { bind(at.ms); }
  template <std::integral Int>
  void bind(Int number) {
    bind_integer(static_cast<std::int64_t>(number));
  }
  // A value that sorts after every text.
  struct AfterAllText {};
  void bind(AfterAllText);

  // True: there is a row to read. False: the end, or it failed.
  bool next();
  bool failed() const { return state_ != SQLITE_OK; }
  Error error() const { return connection_.last_error(); }
  // Steps to the end of a statement that writes.
  Status run();

  // Columns count from 0. Views are good until the next step.
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string_view view(int column) const;
  std::string text(int column) const { return std::string(view(column)); }
  Uuid uuid(int column) const;
  Instant instant(int column) const { return {integer(column)}; }

 private:
  void bind_integer(std::int64_t number);
  void note(int code) {
    if (code != SQLITE_OK && state_ == SQLITE_OK) state_ = code;
  }

  Connection& connection_;
  Connection::Kept* kept_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  int state_ = SQLITE_OK;
};

// BEGIN … COMMIT; rolled back when it goes without commit().
class Transaction {
 public:
  // `how`: "BEGIN" for a view of one moment, "BEGIN IMMEDIATE" to write.
  Transaction(Connection& connection, std::string_view how);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  const Status& begun() const { return begun_; }
  Status commit();

 private:
  Connection& connection_;
  Status begun_;
  bool over_ = false;
};

}  // namespace mc::db
