#include "bench/postgres_floor.h"

#include <chrono>
#include <vector>

#include "bench/database.h"
#include "db/postgres/connection.h"

namespace mc::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr std::size_t kRowBytes = 256;

Error failed(const db::pg::Failure& failure) {
  return Error{Code::unavailable, "bench: " + db::pg::to_error(failure).message, {}};
}

db::pg::Statement insert_of(int rows) {
  const std::vector<std::string> payloads(static_cast<std::size_t>(rows),
                                          std::string(kRowBytes, 'x'));
  db::pg::Statement insert{
      "INSERT INTO bench_floor (n, payload) SELECT w.n, w.payload FROM unnest($1) WITH ORDINALITY "
      "AS w(payload, n)",
      {}};
  insert.params.list(payloads,
                     [](const std::string& payload) { return std::string_view(payload); });
  return insert;
}
}  // namespace

Result<double> unnest_rate(int rows, int batch) {
  auto connection = db::pg::Connection::open({.url = database_url()});
  if (!connection.ok()) return connection.error();
  const db::pg::Answer made =
      (*connection)->script("CREATE TABLE bench_floor (n int8 NOT NULL, payload bytea NOT NULL)");
  if (!made) return failed(*made.failure);
  const db::pg::Statement insert = insert_of(batch);
  const auto began = Clock::now();
  for (int i = 0; i < rows; i += batch) {
    const db::pg::Answer done = (*connection)->transact(db::pg::Kind::write, {&insert, 1});
    if (!done) return failed(*done.failure);
  }
  const std::chrono::duration<double> took = Clock::now() - began;
  const db::pg::Answer dropped = (*connection)->script("DROP TABLE bench_floor");
  if (!dropped) return failed(*dropped.failure);
  return rows / took.count();
}

}  // namespace mc::bench
