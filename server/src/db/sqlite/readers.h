// A few read-only connections, lent to one thread each.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "db/sqlite/connection.h"

namespace mc::db {

class Readers {
 public:
  explicit Readers(std::string path) : path_(std::move(path)) {}

  class Loan {
   public:
    Loan(Readers& owner, std::unique_ptr<Connection> connection)
        : owner_(&owner), connection_(std::move(connection)) {}
    Loan(Loan&& other) noexcept = default;
    Loan& operator=(Loan&&) = delete;
    ~Loan() {
      if (connection_) owner_->give_back(std::move(connection_));
    }
    Connection& operator*() { return *connection_; }

   private:
    Readers* owner_;
    std::unique_ptr<Connection> connection_;
  };

  // Waits while all are lent. Requires: the thread holds no loan. Errors: store_failed.
  Result<Loan> borrow();
  // Closes those that are not lent. Requires: none is.
  void close();

 private:
  void give_back(std::unique_ptr<Connection> connection);

  const std::string path_;
  std::mutex mutex_;  // guards everything below
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;
  int lent_ = 0;
};

}  // namespace mc::db
