#include "db/postgres/readers.h"

#include <algorithm>

namespace mc::db::pg {
namespace {
constexpr int kAttemptsMax = 2;
}

std::unique_ptr<Connection> Readers::borrow() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [&] { return lent_ < std::max(settings_.readers, 1); });
  ++lent_;
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Connection> connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void Readers::give_back(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mutex_);
  if (connection && connection->usable()) idle_.push_back(std::move(connection));
  --lent_;
  returned_.notify_one();
}

Result<std::vector<Rows>> Readers::ask(const std::vector<Statement>& statements, Kind kind) {
  std::unique_ptr<Connection> connection = borrow();
  Result<std::vector<Rows>> result = [&]() -> Result<std::vector<Rows>> {
    for (int attempt = 1;; ++attempt) {
      if (!connection || !connection->usable()) {
        auto opened = Connection::open(settings_);
        if (!opened) return opened.error();
        connection = std::move(*opened);
        if (const Answer settled = connection->settle(); !settled) {
          connection.reset();  // nobody may read on it
          return to_error(*settled.failure);
        }
      }
      Answer answer = connection->transact(kind, statements);
      if (answer) return std::move(answer.rows);
      const bool again = answer.failure->lost || answer.failure->is("40001");
      if (!again || attempt == kAttemptsMax) return to_error(*answer.failure);
    }
  }();
  give_back(std::move(connection));
  return result;
}

Result<Rows> Readers::ask(Statement statement) {
  std::vector<Statement> statements;
  statements.push_back(std::move(statement));
  Result<std::vector<Rows>> answer = ask(statements);
  if (!answer) return answer.error();
  return std::move(answer->front());
}

}  // namespace mc::db::pg
