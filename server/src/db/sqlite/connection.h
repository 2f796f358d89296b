// SQLite's C API with ownership: a connection, and statements that are made once and reset after use.
// Threads: single owner.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "base/uuid.h"

namespace mc::db {

// One use of a prepared statement; reset when it goes. Bind in order, then step or run.
class Query {
 public:
  explicit Query(sqlite3_stmt* statement) : statement_(statement) {}
  Query(Query&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)), next_(other.next_) {}
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query();

  Query& bind(std::int64_t value);
  Query& bind(std::string_view text);
  Query& blob(std::string_view bytes);
  Query& bind(Uuid id);  // 16 bytes; empty for none
  bool step();           // true: a row is there
  // For statements without rows: SQLITE_DONE or the error.
  int run();
  int result() const { return result_; }

  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) const;
  Uuid uuid(int column) const;

 private:
  sqlite3_stmt* statement_;
  int next_ = 1;
  int result_ = SQLITE_OK;
};

class Connection {
 public:
  // Errors: data_folder. `read_only` connections never write, not even a checkpoint.
  static Result<std::unique_ptr<Connection>> open(const std::string& path, bool read_only,
                                                  bool create);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // `sql` is kept as the key of the prepared statement.
  Query query(const std::string& sql);
  int execute(const char* sql);
  std::string message() const { return sqlite3_errmsg(handle_); }
  sqlite3* handle() { return handle_; }

 private:
  explicit Connection(sqlite3* handle) : handle_(handle) {}
  sqlite3* handle_;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace mc::db
