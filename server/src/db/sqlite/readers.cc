#include "db/sqlite/readers.h"

namespace mc::db {
namespace {
constexpr int kReadersMax = 4;
}

Result<Readers::Loan> Readers::borrow() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [&] { return lent_ < kReadersMax; });
  ++lent_;
  if (!idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    return Loan(*this, std::move(connection));
  }
  lock.unlock();
  auto opened = Connection::open(path_, Connection::Mode::read);
  if (opened) return Loan(*this, std::move(*opened));
  lock.lock();
  --lent_;
  returned_.notify_one();
  return opened.error();
}

void Readers::give_back(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mutex_);
  // One that met a failing disk is not used again.
  if (!connection->is_doubtful()) idle_.push_back(std::move(connection));
  --lent_;
  returned_.notify_one();
}

void Readers::close() {
  const std::lock_guard lock(mutex_);
  MC_CHECK(lent_ == 0);
  idle_.clear();
}

}  // namespace mc::db
