#include "db/postgres/shards.h"

#include "db/postgres/migrate.h"
#include "db/postgres/refusal.h"

namespace mc::db {
namespace pg {
namespace {
#define MC_PG_BEHIND                                                            \
  "FROM (SELECT max(position) AS top FROM feeds) f, positions p WHERE f.top > " \
  "CASE WHEN p.is_called THEN p.last_value ELSE 0 END"

Error refused(std::string message) { return {Code::store_failed, std::move(message), {}}; }

// Errors: store_failed, naming one that lives.
Status check_nobody_lives(Connection& connection) {
  const std::vector<Statement> look = {
      {"SELECT name, shard FROM shards WHERE expires_at > clock_timestamp() ORDER BY shard LIMIT 1",
       {}},
      {"SELECT name, address FROM members WHERE expires_at > clock_timestamp() ORDER BY name "
       "LIMIT 1",
       {}}};
  const Answer living = connection.run(look);
  if (!living) return to_error(*living.failure);
  const Rows& leads = living.rows[0];
  if (leads.size() > 0)
    return refused("stop the replicas first: " + leads.text(0, 0) + " leads shard " +
                   std::to_string(leads.integer(0, 1)));
  const Rows& there = living.rows[1];
  if (there.size() > 0)
    return refused("stop the replicas first: " + there.text(0, 0) + " is there, at " +
                   there.text(0, 1));
  return {};
}

Result<ShardsChange> spread(Connection& connection, int shards) {
  const Result<int> applied = check_applied(connection, postgres_migrations());
  if (!applied) return applied.error();
  if (*applied < std::ssize(postgres_migrations()))
    return refused("the database has an older schema than this build; `maestro migrate up` first");
  // Nobody may come while this looks who is there.
  const Statement lock{"LOCK TABLE shards, members, feeds IN EXCLUSIVE MODE", {}};
  if (const Answer locked = connection.run({&lock, 1}); !locked) return to_error(*locked.failure);
  if (Status alone = check_nobody_lives(connection); !alone) return alone.error();
  const Result<int> before = count_shards(connection);
  if (!before) return before.error();
  const Params number = Params().add(std::int64_t{shards});
  const std::vector<Statement> change = {
      {"SELECT setval('positions', f.top) " MC_PG_BEHIND, {}},
      {"UPDATE shards SET epoch = (SELECT max(epoch) FROM shards), holder = '', address = '', "
       "expires_at = '-infinity'",
       {}},
      {"INSERT INTO shards (shard, epoch, holder, name, address, expires_at) SELECT more, s.epoch, "
       "'', '', '', '-infinity' FROM shards s, generate_series(1, $1::int4 - 1) AS more WHERE "
       "s.shard = 0 ON CONFLICT DO NOTHING",
       number},
      // With one shard a build of before goes on from its row.
      {"UPDATE feeds SET position = greatest((SELECT max(position) FROM feeds), "
       "(SELECT last_value FROM positions WHERE is_called))",
       {}},
      {"INSERT INTO feeds (shard, position) SELECT s.shard, f.position FROM shards s, feeds f "
       "WHERE f.shard = 0 ON CONFLICT DO NOTHING",
       {}},
      {"DELETE FROM shards WHERE shard >= $1", number},
      {"DELETE FROM feeds WHERE shard >= $1", number},
      {"DELETE FROM members", {}}};
  if (const Answer changed = connection.run(change); !changed) return to_error(*changed.failure);
  return ShardsChange{*before, shards};
}
}  // namespace

Result<int> count_shards(Connection& connection) {
  const Statement count{"SELECT count(*) FROM shards", {}};
  const Answer answer = connection.in_transaction() ? connection.run({&count, 1})
                                                    : connection.transact(Kind::read, {&count, 1});
  if (!answer) return to_error(*answer.failure);
  return static_cast<int>(answer.rows.front().integer(0, 0));
}

Status catch_up_positions(Connection& connection) {
  const Statement look{"SELECT 1 " MC_PG_BEHIND, {}};
  const Answer behind = connection.transact(Kind::read, {&look, 1});
  if (!behind) return to_error(*behind.failure);
  if (behind.rows.front().size() == 0) return {};
  // Who takes positions holds a row: nobody does while all are held.
  const std::vector<Statement> move = {{"SELECT 1 FROM feeds ORDER BY shard FOR UPDATE", {}},
                                       {"SELECT setval('positions', f.top) " MC_PG_BEHIND, {}}};
  const Answer moved = connection.transact(Kind::write, move);
  return moved ? Status() : to_error(*moved.failure);
}
}  // namespace pg

Result<ShardsChange> change_shards(const PostgresSettings& settings, int shards) {
  auto connection = pg::Connection::open(pg::patient(settings));
  if (!connection) return connection.error();
  const Result<pg::Server> server = pg::check_server(**connection);
  if (!server) return server.error();
  ShardsChange change;
  const Status done = pg::change_schema(**connection, [&]() -> Status {
    const Result<ShardsChange> spread = pg::spread(**connection, shards);
    if (!spread) return spread.error();
    change = *spread;
    return {};
  });
  if (!done) return done.error();
  return change;
}

}  // namespace mc::db
