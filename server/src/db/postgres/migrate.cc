#include "db/postgres/migrate.h"

#include "base/sha256.h"
#include "db/postgres/partitions.h"
#include "db/postgres/refusal.h"
#include "db/postgres/shards.h"

namespace mc::db {
namespace pg {
namespace {
constexpr std::int64_t kSchemaLock = 0x6d61'6573'7472'6f01;  // "maestro", 1
constexpr Millis kPatience{3'600'000};
constexpr std::string_view kTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "version int8 PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
    "applied_at int8 NOT NULL, finished boolean NOT NULL)";
// Builds of before did not have it, and read and write the others by name.
constexpr std::string_view kColumn =
    "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS oldest int8";

Error refused(std::string message) { return {Code::schema_unfit, std::move(message), {}}; }

// Inside a transaction that is open, or in one of its own.
Answer ask(Connection& connection, const Statement& statement) {
  return connection.in_transaction() ? connection.run({&statement, 1})
                                     : connection.transact(Kind::read, {&statement, 1});
}

// Not to_regclass: it may answer from a cache of before the lock was there.
Statement does_exist(std::string_view names) {
  return {
      "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
      "WHERE n.nspname = current_schema() AND c.relname IN (" +
          std::string(names) + "))",
      {}};
}

Status do_step(Connection& connection, const Migration& step) {
  const std::vector<Statement> note = {
      {std::string(kTable), {}},
      {std::string(kColumn), {}},
      {"INSERT INTO schema_migrations (version, name, checksum, applied_at, finished, oldest) "
       "VALUES ($1, $2, $3, $4, false, $5)",
       Params()
           .add(std::int64_t{step.version})
           .add(Text{step.name})
           .add(Text{sha256_hex(step.up)})
           .add(system_clock().now())
           .add(std::int64_t{step.oldest})}};
  if (const Answer noted = connection.run(note); !noted) return to_error(*noted.failure);
  if (const Answer done = connection.script(std::string(step.up)); !done)
    return to_error(*done.failure);
  const Statement finish{"UPDATE schema_migrations SET finished = true WHERE version = $1",
                         Params().add(std::int64_t{step.version})};
  const Answer finished = connection.run({&finish, 1});
  return finished ? Status() : to_error(*finished.failure);
}
}  // namespace

PostgresSettings patient(PostgresSettings settings) {
  settings.statement_timeout = kPatience;
  settings.lock_timeout = kPatience;
  return settings;
}

Statement schema_lock() { return {"SELECT pg_advisory_xact_lock($1)", Params().add(kSchemaLock)}; }

Status change_schema(Connection& connection, const std::function<Status()>& change) {
  // The lock may be waited for long, the tables of a working system may not.
  const std::vector<Statement> first = {schema_lock(), {"SET LOCAL lock_timeout = '5s'", {}}};
  if (const Answer begun = connection.begin(Kind::write, first); !begun)
    return to_error(*begun.failure);
  Status changed = change();
  if (changed) {
    if (const Answer done = connection.commit({}); !done) changed = to_error(*done.failure);
  }
  if (!changed) connection.roll_back();
  return changed;
}

Result<std::vector<AppliedMigration>> read_applied(Connection& connection) {
  const Error foreign = refused(
      "the schema holds tables of another program; give Maestro a database or a schema of "
      "its own");
  std::vector<AppliedMigration> applied;
  const Answer any = ask(connection, does_exist("'schema_migrations'"));
  if (!any) return to_error(*any.failure);
  if (any.rows.front().boolean(0, 0)) {
    const Answer answer = ask(connection, {"SELECT version, name, checksum, applied_at, finished, "
                                           "coalesce((to_jsonb(m)->>'oldest')::int8, 0) FROM "
                                           "schema_migrations m ORDER BY version",
                                           {}});
    if (!answer) return answer.failure->is("42703") ? foreign : to_error(*answer.failure);
    const Rows& rows = answer.rows.front();
    for (int row = 0; row < rows.size(); ++row) {
      applied.push_back({static_cast<int>(rows.integer(row, 0)), rows.text(row, 1),
                         rows.text(row, 2), rows.instant(row, 3),
                         static_cast<int>(rows.integer(row, 5))});
      if (!rows.boolean(row, 4))
        return refused("migration " + std::to_string(applied.back().version) + " (" +
                       applied.back().name +
                       ") was begun and not finished: restore a backup from "
                       "before it, or finish it by hand and set `finished` in schema_migrations");
    }
  }
  if (!applied.empty()) return applied;
  const Answer ours =
      ask(connection,
          does_exist("'feed', 'feeds', 'events', 'runs', 'records', 'receipts', 'commits'"));
  if (!ours) return to_error(*ours.failure);
  if (ours.rows.front().boolean(0, 0)) return foreign;
  return applied;
}

Result<int> check_applied(Connection& connection, std::span<const Migration> known) {
  const Result<std::vector<AppliedMigration>> applied = read_applied(connection);
  if (!applied) return applied.error();
  return check_schema(known, *applied, "the database", Code::schema_unfit);
}

Result<bool> is_changing(Connection& connection) {
  const Statement look{"SELECT NOT pg_try_advisory_xact_lock_shared($1)",
                       Params().add(kSchemaLock)};
  const Answer answer = connection.transact(Kind::read, {&look, 1});
  if (!answer) return to_error(*answer.failure);
  return answer.rows.front().boolean(0, 0);
}

Result<int> wait_for_change(Connection& connection, std::span<const Migration> known) {
  int taken = 0;
  const Status looked = change_schema(connection, [&]() -> Status {
    const Result<int> applied = check_applied(connection, known);
    if (!applied) return applied.error();
    taken = *applied;
    return {};
  });
  if (!looked) return looked.error();
  return taken;
}

Status apply_missing(Connection& connection, std::span<const Migration> known) {
  for (;;) {
    const Result<int> before = check_applied(connection, known);
    if (!before) return before.error();
    if (static_cast<std::size_t>(*before) >= known.size()) return {};
    Status done = change_schema(connection, [&]() -> Status {
      // Somebody else may have taken it while this waited for the lock.
      const Result<int> applied = check_applied(connection, known);
      if (!applied) return applied.error();
      const auto next = static_cast<std::size_t>(*applied);
      return next >= known.size() ? Status() : do_step(connection, known[next]);
    });
    if (!done) return done;
  }
}

Status take_back_last(Connection& connection, std::span<const Migration> known) {
  return change_schema(connection, [&]() -> Status {
    const Result<int> applied = check_applied(connection, known);
    if (!applied) return applied.error();
    if (*applied == 0) return refused("no migration has been applied");
    if (static_cast<std::size_t>(*applied) > known.size())
      return refused("migration " + std::to_string(*applied) +
                     " is a newer maestro's: take it back with that one");
    const Migration& last = known[static_cast<std::size_t>(*applied) - 1];
    if (last.down.empty()) {
      return refused("migration " + std::to_string(last.version) +
                     " cannot be taken back; restore a backup from before it");
    }
    if (last.version == 1) {
      const Answer any = ask(
          connection, {"SELECT EXISTS (SELECT 1 FROM runs) OR EXISTS (SELECT 1 FROM records)", {}});
      if (!any) return to_error(*any.failure);
      if (any.rows.front().boolean(0, 0))
        return refused("the first migration is everything there is: drop the schema instead");
    }
    if (const Answer done = connection.script(std::string(last.down)); !done)
      return to_error(*done.failure);
    const Statement forget{"DELETE FROM schema_migrations WHERE version = $1",
                           Params().add(std::int64_t{last.version})};
    const Answer forgotten = connection.run({&forget, 1});
    return forgotten ? Status() : to_error(*forgotten.failure);
  });
}
}  // namespace pg

namespace {
constexpr int kShardsSince = 3;  // the version of the schema

Result<SchemaStatus> status_of(pg::Connection& connection) {
  const std::span<const Migration> known = postgres_migrations();
  const Result<std::vector<AppliedMigration>> applied = pg::read_applied(connection);
  if (!applied) return applied.error();
  SchemaStatus status = status_of(known, *applied);
  if (status.schema < kShardsSince) return status;
  const Result<int> shards = pg::count_shards(connection);
  if (!shards) return shards.error();
  status.shards = *shards;
  return status;
}

template <class Change>
Result<SchemaStatus> with_connection(const PostgresSettings& settings, const Change& change) {
  auto connection = pg::Connection::open(settings);
  if (!connection) return connection.error();
  const Result<pg::Server> server = pg::check_server(**connection);
  if (!server) return server.error();
  if (Status changed = change(**connection); !changed) return changed.error();
  return status_of(**connection);
}
}  // namespace

Result<SchemaStatus> migrate_status(const PostgresSettings& settings) {
  return with_connection(settings, [](pg::Connection&) { return Status(); });
}

Result<SchemaStatus> migrate_up(const PostgresSettings& settings) {
  return with_connection(pg::patient(settings), [](pg::Connection& connection) -> Status {
    if (Status done = pg::apply_missing(connection, postgres_migrations()); !done) return done;
    return pg::make_partitions(connection, system_clock().now());
  });
}

Result<SchemaStatus> migrate_down(const PostgresSettings& settings) {
  return with_connection(pg::patient(settings), [](pg::Connection& connection) {
    return pg::take_back_last(connection, postgres_migrations());
  });
}

}  // namespace mc::db
