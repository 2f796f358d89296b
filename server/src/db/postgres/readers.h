// A few connections for questions, lent to one thread each.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "db/postgres/connection.h"

namespace mc::db::pg {

class Readers {
 public:
  explicit Readers(const PostgresSettings& settings) : settings_(settings) {}

  // All statements in a view of one moment; or, for a question that has to lock rows, as a write
  // that may be made twice. Waits while all connections are lent; a connection that
  // turns out to be dead is opened anew, once. Any thread. Errors: store_failed, unreachable.
  Result<std::vector<Rows>> ask(const std::vector<Statement>& statements, Kind kind = Kind::read);
  // For one statement.
  Result<Rows> ask(Statement statement);

 private:
  std::unique_ptr<Connection> borrow();  // null: to be opened
  void give_back(std::unique_ptr<Connection> connection);

  const PostgresSettings settings_;
  std::mutex mutex_;  // guards everything below
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;
  int lent_ = 0;
};

}  // namespace mc::db::pg
