// How many event groups a second PostgreSQL takes in batches of several sizes: by arrays and unnest
// in a pipeline, by COPY, and by the store's whole commit. ADR 0009 has what it gave.
//   bench_postgres_batch URL      of an empty database, which it fills
#include <fmt/format.h>
#include <libpq-fe.h>

#include "bench/store_writes.h"
#include "db/postgres/connection.h"
#include "db/postgres/write.h"

namespace mc::db {
namespace {
constexpr Instant kTime{1'700'000'000'000};

struct Group {
  Uuid run;
  std::int64_t seq = 0;
};

// Groups of ever new runs, so that both ways fill the indexes alike.
class Groups {
 public:
  std::vector<Group> next(int size) {
    std::vector<Group> groups;
    for (int i = 0; i < size; ++i)
      groups.push_back({make_uuid(Instant{kTime.ms + ++made_}, rng_), 1});
    return groups;
  }

 private:
  Rng rng_{1};
  std::int64_t made_ = 0;
};

// One round trip: ids, place in the feed and groups, as db/postgres/write.cc does it.
bool by_unnest(pg::Connection& connection, const std::vector<Group>& groups, Uuid id,
               std::string_view payload) {
  std::vector<pg::Statement> all;
  all.push_back({"INSERT INTO commits (id) VALUES ($1)", pg::Params().add(id)});
  all.push_back({"SELECT 1 FROM feeds WHERE shard = 0 FOR NO KEY UPDATE", {}});
  all.push_back(
      {"WITH placed AS MATERIALIZED (SELECT nextval('positions') AS position, e.* FROM "
       "unnest($1, $2, $3, $4, $5) AS e(run, first_seq, last_seq, time, payload)), "
       "noted AS (UPDATE feeds SET position = (SELECT max(position) FROM placed) WHERE shard = 0) "
       "INSERT INTO events (position, run, first_seq, last_seq, time, payload) "
       "SELECT position, run, first_seq, last_seq, time, payload FROM placed",
       {}});
  all.back()
      .params.list(groups, [](const Group& g) { return g.run; })
      .list(groups, [](const Group& g) { return g.seq; })
      .list(groups, [](const Group& g) { return g.seq; })
      .list(groups, [](const Group&) { return kTime.ms; })
      .list(groups, [&](const Group&) { return payload; });
  return bool(connection.transact(pg::Kind::write, all));
}

bool done(PGresult* result, ExecStatusType wanted) {
  const bool well = PQresultStatus(result) == wanted;
  if (!well) fmt::print(stderr, "{}", PQresultErrorMessage(result));
  PQclear(result);
  return well;
}

// The place in the feed has to come back before rows can be sent, and COPY takes no pipeline: the
// statements before it, the rows, and COMMIT are a round trip each.
bool by_copy(PGconn* conn, const std::vector<Group>& groups, Uuid id, std::string_view payload) {
  const std::string begin = fmt::format(
      "BEGIN; SELECT set_config('statement_timeout', '10000ms', true), "
      "set_config('lock_timeout', '5000ms', true), "
      "set_config('idle_in_transaction_session_timeout', '10000ms', true); "
      "INSERT INTO commits (id) VALUES ('{}'); UPDATE feeds SET position = position + {} "
      "WHERE shard = 0 RETURNING position - {}",
      to_string(id), groups.size(), groups.size());
  PGresult* placed = PQexec(conn, begin.c_str());
  std::int64_t position = 0;
  if (PQresultStatus(placed) == PGRES_TUPLES_OK) {
    const std::string_view text = PQgetvalue(placed, 0, 0);
    for (const char digit : text) position = position * 10 + (digit - '0');
  }
  if (!done(placed, PGRES_TUPLES_OK)) return false;
  if (!done(PQexec(conn,
                   "COPY events (position, run, first_seq, last_seq, time, payload) FROM "
                   "STDIN (FORMAT binary)"),
            PGRES_COPY_IN)) {
    return false;
  }
  std::string bytes("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", 19);
  for (const Group& group : groups) {
    bytes.append("\0\x06", 2);
    pg::put_element(bytes, ++position);
    pg::put_element(bytes, group.run);
    for (const std::int64_t number : {group.seq, group.seq, kTime.ms})
      pg::put_element(bytes, number);
    pg::put_element(bytes, payload);
  }
  bytes.append("\xff\xff", 2);
  if (PQputCopyData(conn, bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  if (PQputCopyEnd(conn, nullptr) != 1) return false;
  if (!done(PQgetResult(conn), PGRES_COMMAND_OK)) return false;
  while (PGresult* rest = PQgetResult(conn)) PQclear(rest);
  return done(PQexec(conn, "COMMIT"), PGRES_COMMAND_OK);
}

int measure(const std::string& url) {
  auto store = open_postgres_store({.url = url});
  auto connection = pg::Connection::open({.url = url});
  PGconn* conn = PQconnectdb(url.c_str());
  if (!store || !connection || PQstatus(conn) != CONNECTION_OK) {
    fmt::print(stderr, "{}\n", store ? PQerrorMessage(conn) : store.error().message);
    PQfinish(conn);
    return 1;
  }
  Rng rng(random_seed());
  Groups groups;
  Writes writes;
  const auto id = [&] { return make_uuid(kTime, rng); };
  const std::string payload(kPayloadBytes, 'e');
  fmt::print("{:>6} {:>16} {:>16} {:>16}\n", "batch", "unnest groups/s", "copy groups/s",
             "commit groups/s");
  for (const int size : {1, 10, 100, 1000}) {
    const double unnest =
        rate(size, [&] { return by_unnest(**connection, groups.next(size), id(), payload); });
    const double copy = rate(size, [&] { return by_copy(conn, groups.next(size), id(), payload); });
    const double commit = rate(size, [&] { return (*store)->commit(writes.next(size)).ok(); });
    fmt::print("{:>6} {:>16.0f} {:>16.0f} {:>16.0f}\n", size, unnest, copy, commit);
  }
  PQfinish(conn);
  return 0;
}
}  // namespace
}  // namespace mc::db

int main(int count, char** arguments) {
  if (count == 2) return mc::db::measure(arguments[1]);
  fmt::print(stderr, "usage: bench_postgres_batch URL\n");
  return 2;
}
