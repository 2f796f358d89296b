#include "db/postgres/postgres_store.h"

#include <poll.h>

#include <algorithm>
#include <mutex>

#include "base/log.h"
#include "db/postgres/commit_course.h"
#include "db/postgres/feed.h"
#include "db/postgres/migrate.h"
#include "db/postgres/partitions.h"
#include "db/postgres/read.h"
#include "db/postgres/refusal.h"
#include "db/postgres/shards.h"
#include "db/postgres/write.h"

namespace mc::db {
namespace pg {
namespace {
constexpr int kOpenRunsAtOnce = 64;
constexpr Millis kPauseMin{20};
constexpr Millis kPauseMax{2'000};
constexpr Millis kUpkeepEvery{60'000};
constexpr std::int64_t kCommitsForgottenAtOnce = 50'000;
// A transaction that removes runs holds up the commits of its shard.
constexpr std::int64_t kPurgedAtOnce = 20;

// Waits longer from one time to the next, never the same for two servers.
class Backoff {
 public:
  Backoff(Rng& rng, Deadline until) : rng_(rng), until_(until) {}
  // False: the time is over.
  bool pause() {
    const auto left = std::chrono::ceil<Millis>(until_ - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    const auto wait =
        static_cast<std::int64_t>(static_cast<double>(next_.count()) * (0.5 + rng_.unit() / 2));
    (void)::poll(nullptr, 0, static_cast<int>(std::min<std::int64_t>(wait, left.count())));
    next_ = std::min(2 * next_, kPauseMax);
    return true;
  }

 private:
  Rng& rng_;
  const Deadline until_;
  Millis next_ = kPauseMin;
};

class PostgresStore final : public Store {
 public:
  PostgresStore(PostgresSettings settings, int shards, std::unique_ptr<Connection> writer)
      : settings_(std::move(settings)),
        shards_(shards),
        readers_(settings_),
        feed_(readers_, shards),
        writer_(std::move(writer)) {}

  Status commit(const Batch& batch) override;
  Result<std::int64_t> drop_receipts(Instant before, int limit) override;
  Result<std::int64_t> purge_runs(Instant before, int limit, const Going& going) override;
  void idle() override {
    const std::lock_guard lock(write_mutex_);
    keep_up();
  }

  Result<std::optional<StoredRun>> load_run(Uuid run) override { return read_run(readers_, run); }
  Result<std::vector<EventGroup>> read_events(Uuid run, std::int64_t after, int limit) override {
    return read_groups(readers_, run, after, limit);
  }
  Result<std::vector<FeedGroup>> read_feed(std::int64_t after, int limit) override {
    return feed_.read(after, limit);
  }
  Result<std::int64_t> feed_end() override { return feed_.end(); }
  Result<std::vector<RunRow>> list_runs(const RunQuery& query) override {
    return read_run_list(readers_, query);
  }
  Status each_open_run(const std::function<bool(StoredRun)>& visit) override;
  Result<std::int64_t> max_run_number() override {
    return read_number(readers_, "SELECT coalesce(max(number), 0) FROM runs");
  }
  Result<std::optional<Record>> get_record(std::string_view kind, std::string_view key) override {
    return read_record(readers_, kind, key);
  }
  Result<std::vector<Record>> list_records(std::string_view kind, std::string_view prefix,
                                           std::string_view after, int limit) override {
    return pg::read_records(readers_, kind, prefix, after, limit);
  }
  Result<std::optional<Receipt>> get_receipt(std::string_view scope,
                                             std::string_view key) override {
    return read_receipt(readers_, scope, key);
  }

 private:
  // All below require write_mutex_.
  // Opens the writer when there is none, once. Errors: as Connection::open.
  Status ensure_writer();
  Status commit_once_or_not_at_all(const Batch& batch, Uuid id,
                                   const std::vector<Statement>& statements);
  void write(CommitCourse& course, const Batch& batch, const std::vector<Statement>& statements);
  // Whether the commit with this id was made; nullopt: the connection was lost again.
  std::optional<bool> look_up(Uuid id);
  void keep_up();
  // The two require that write_mutex_ is free.
  Result<std::vector<Uuid>> doomed_runs(Instant before, std::int64_t limit);
  Result<std::int64_t> remove_runs(const std::vector<Uuid>& runs);

  const PostgresSettings settings_;
  const int shards_;
  Readers readers_;
  Feed feed_;
  std::mutex write_mutex_;              // guards everything below
  std::unique_ptr<Connection> writer_;  // null: to be opened anew
  Rng rng_{random_seed()};
  Deadline upkeep_at_{};
};

Status PostgresStore::ensure_writer() {
  if (writer_ && writer_->usable()) return {};
  writer_.reset();
  auto opened = Connection::open(settings_);
  if (!opened) return opened.error();
  writer_ = std::move(*opened);
  return {};
}

Status PostgresStore::commit(const Batch& batch) {
  if (batch.empty()) return {};
  const std::lock_guard lock(write_mutex_);
  const Uuid id = make_uuid(system_clock().now(), rng_);
  const Result<std::vector<Statement>> statements = write_batch(batch, id, settings_);
  if (!statements) return statements.error();
  Status done = commit_once_or_not_at_all(batch, id, *statements);
  // A busy server is never idle.
  if (done && std::chrono::steady_clock::now() > upkeep_at_ + kUpkeepEvery) keep_up();
  return done;
}

Status PostgresStore::commit_once_or_not_at_all(const Batch& batch, Uuid id,
                                                const std::vector<Statement>& statements) {
  Backoff backoff(rng_, after(settings_.outage));
  CommitCourse course;
  for (;;) {
    switch (course.next()) {
      case CommitCourse::Step::connect: course.connected(ensure_writer()); break;
      case CommitCourse::Step::look_up: course.looked_up(look_up(id)); break;
      case CommitCourse::Step::write: write(course, batch, statements); break;
      case CommitCourse::Step::pause: course.paused(backoff.pause()); break;
      case CommitCourse::Step::end:
        if (course.in_doubt()) settings_.in_doubt();
        return course.result();
    }
  }
}

void PostgresStore::write(CommitCourse& course, const Batch& batch,
                          const std::vector<Statement>& statements) {
  using Written = CommitCourse::Written;
  const Answer answer = writer_->transact(Kind::write, statements);
  if (answer || is_made_already(*answer.failure)) return course.written(Written::made, {});
  const Failure& failure = *answer.failure;
  if (const std::optional<Error> conflict = conflict_of(failure, batch))
    return course.written(Written::refused, *conflict);
  const Error why = to_error(failure);
  if (failure.lost) return course.written(Written::lost, why);
  if (failure.is("40P01") || failure.is("40001")) return course.written(Written::deadlock, why);
  if (failure.is("55P03")) return course.written(Written::waiting, why);
  // A server that became a standby refuses: the url may name another one by now.
  if (failure.is("25006")) writer_.reset();
  course.written(Written::refused, why);
}

std::optional<bool> PostgresStore::look_up(Uuid id) {
  const Statement ask{"SELECT EXISTS (SELECT 1 FROM commits WHERE id = $1)", Params().add(id)};
  const Answer answer = writer_->transact(Kind::read, {&ask, 1});
  if (!answer) return std::nullopt;
  if (!answer.rows.front().boolean(0, 0)) return false;
  return writer_->settle() ? std::optional(true) : std::nullopt;
}

Result<std::int64_t> PostgresStore::drop_receipts(Instant before, int limit) {
  const std::lock_guard lock(write_mutex_);
  if (Status ready = ensure_writer(); !ready) return ready.error();
  const Statement drop{
      "WITH gone AS (DELETE FROM receipts WHERE (scope, key) IN (SELECT scope, key FROM receipts "
      "WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1) "
      "SELECT count(*) FROM gone",
      Params().add(before).add(std::int64_t{std::max(limit, 0)})};
  const Answer answer = writer_->transact(Kind::write, {&drop, 1});
  if (!answer) return to_error(*answer.failure);
  return answer.rows.front().integer(0, 0);
}

// What else is kept of a run is removed between transactions, with no lock held: that may take
// long, and to remove it twice, should another server be at it, does no harm.
Result<std::int64_t> PostgresStore::purge_runs(Instant before, int limit, const Going& going) {
  std::int64_t purged = 0;
  while (purged < limit) {
    const std::int64_t most = std::min(limit - purged, kPurgedAtOnce);
    const Result<std::vector<Uuid>> doomed = doomed_runs(before, most);
    if (!doomed) return doomed.error();
    if (doomed->empty()) break;
    for (const Uuid run : *doomed) {
      if (Status gone = going(run); !gone) return gone.error();
    }
    const Result<std::int64_t> removed = remove_runs(*doomed);
    if (!removed) return removed.error();
    purged += *removed;
    if (std::ssize(*doomed) < most) break;
  }
  return purged;
}

Result<std::vector<Uuid>> PostgresStore::doomed_runs(Instant before, std::int64_t limit) {
  Params which = Params().add(before).add(limit);
  std::string mine;
  if (settings_.epoch != 0 && shards_ > 1) {
    mine = "AND maestro_shard_of(project, $3::int4) = $4 ";
    which.add(std::int64_t{shards_}).add(std::int64_t{settings_.shard});
  }
  const Result<Rows> rows =
      readers_.ask({"SELECT id FROM runs WHERE deleted_at <> 0 AND deleted_at < $1 " + mine +
                        "ORDER BY deleted_at LIMIT $2",
                    which});
  if (!rows) return rows.error();
  std::vector<Uuid> doomed;
  for (int row = 0; row < rows->size(); ++row) doomed.push_back(rows->uuid(row, 0));
  return doomed;
}

Result<std::int64_t> PostgresStore::remove_runs(const std::vector<Uuid>& runs) {
  const Params which = Params().list(runs, [](Uuid run) { return run; });
  // In the order in which commits lock them.
  std::vector<Statement> drop = {
      {"SELECT id FROM runs WHERE id = ANY ($1) ORDER BY id FOR UPDATE", which}};
  for (const std::string_view where :
       {"run_labels WHERE run", "snapshots WHERE run", "events WHERE run", "runs WHERE id"})
    drop.push_back({"DELETE FROM " + std::string(where) + " = ANY ($1)", which});
  const std::lock_guard lock(write_mutex_);
  if (Status ready = ensure_writer(); !ready) return ready.error();
  const Answer answer = writer_->transact(Kind::write, drop);
  if (!answer) return to_error(*answer.failure);
  return answer.rows.front().size();
}

Status PostgresStore::each_open_run(const std::function<bool(StoredRun)>& visit) {
  OpenPlace place;
  if (settings_.epoch != 0) {
    place.shard = settings_.shard;
    place.shards = shards_;
  }
  for (;;) {
    Result<std::vector<StoredRun>> page = read_open_runs(readers_, place, kOpenRunsAtOnce);
    if (!page) return page.error();
    for (StoredRun& run : *page) {
      if (!visit(std::move(run))) return {};
    }
    if (page->size() < kOpenRunsAtOnce) return {};
  }
}

void PostgresStore::keep_up() {
  if (settings_.shard != 0) return;
  if (std::chrono::steady_clock::now() < upkeep_at_) return;
  upkeep_at_ = after(kUpkeepEvery);
  if (!ensure_writer()) return;
  const Statement forget{
      "DELETE FROM commits WHERE id IN (SELECT id FROM commits WHERE made_at < now() - "
      "interval '1 hour' ORDER BY made_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
      Params().add(kCommitsForgottenAtOnce)};
  if (const Answer forgot = writer_->transact(Kind::write, {&forget, 1}); !forgot)
    log_warn("ids of old commits stay", {{"reason", forgot.failure->message}});
  if (Status made = make_partitions(*writer_, system_clock().now()); !made)
    log_warn("no partition for events of the next months", {{"reason", made.error().message}});
}

// Takes the steps that are missing, or waits for who is taking them: that may be long. Nothing else
// of an opening may: a database that falls silent while a replica takes a shard over is given up in
// the time of a statement. Errors: as open_postgres_store.
Status mend_schema(const PostgresSettings& settings, const Server& server,
                   std::span<const Migration> known) {
  auto connection = Connection::open(patient(settings));
  if (!connection) return connection.error();
  const Result<int> applied = wait_for_change(**connection, known);
  if (!applied) return applied.error();
  if (*applied >= static_cast<int>(known.size())) return {};
  if (!server.may_create)
    return Error{Code::store_failed,
                 "the user of the url may not create tables in the schema " + server.schema +
                     ": GRANT CREATE, USAGE ON SCHEMA " + server.schema +
                     " to it, or migrate as its owner",
                 {}};
  return apply_missing(**connection, known);
}

// As check_applied, once the schema is at this build's version.
Result<int> ready_schema(std::unique_ptr<Connection>& connection, const PostgresSettings& settings,
                         const Server& server) {
  const std::span<const Migration> known = postgres_migrations();
  const auto wanted = static_cast<int>(known.size());
  if (settings.migrate) {
    const Result<bool> changing = is_changing(*connection);
    if (!changing) return changing.error();
    const Result<int> applied = *changing ? Result<int>(0) : check_applied(*connection, known);
    if (!applied || *applied >= wanted) return applied;
    if (Status mended = mend_schema(settings, server, known); !mended) return mended.error();
    // Meanwhile this one may have been idle for too long for somebody.
    auto again = Connection::open(settings);
    if (!again) return again.error();
    connection = std::move(*again);
  }
  const Result<int> applied = check_applied(*connection, known);
  if (applied && *applied < wanted)
    return Error{Code::schema_unfit,
                 "the database has an older schema than this build; `maestro migrate up` mends it",
                 {}};
  return applied;
}

// The schema is at this build's version afterwards. Gives the number of shards. Errors: as
// open_postgres_store.
Result<int> bring_up(const PostgresSettings& settings) {
  auto connection = Connection::open(settings);
  if (!connection) return connection.error();
  const Result<Server> server = check_server(**connection);
  if (!server) return server.error();
  if (!server->syncs)
    log_warn("PostgreSQL runs with fsync = off: a crash of its machine loses acknowledged commits");
  const Result<int> applied = ready_schema(*connection, settings, *server);
  if (!applied) return applied.error();
  note_newer_schema(*applied, postgres_migrations());
  if (Status allowed = check_rights(**connection); !allowed) return allowed.error();
  if (Status level = catch_up_positions(**connection); !level) return level.error();
  const Result<int> shards = count_shards(**connection);
  if (!shards) return shards.error();
  if (settings.shard < 0 || settings.shard >= *shards)
    return Error{Code::store_failed,
                 "the database has no shard " + std::to_string(settings.shard) + ": it has " +
                     std::to_string(*shards),
                 {}};
  if (!server->may_create || settings.shard != 0) return shards;
  // Behind somebody who changes the schema for long: then it is made later (keep_up).
  if (Status made = make_partitions(**connection, system_clock().now()); !made)
    log_warn("no partition for events of the next months", {{"reason", made.error().message}});
  return shards;
}
}  // namespace
}  // namespace pg

Result<std::unique_ptr<Store>> open_postgres_store(const PostgresSettings& settings) {
  const Result<int> shards = pg::bring_up(settings);
  if (!shards) return shards.error();
  auto writer = pg::Connection::open(settings);
  if (!writer) return writer.error();
  return std::unique_ptr<Store>(
      std::make_unique<pg::PostgresStore>(settings, *shards, std::move(*writer)));
}

}  // namespace mc::db
