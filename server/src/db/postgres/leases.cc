#include "db/postgres/leases.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/log.h"
#include "base/rng.h"
#include "base/time.h"
#include "base/uuid.h"
#include "db/postgres/connection.h"

namespace mc::db {
namespace {
constexpr Millis kAgainLeast{20}, kAgainMost{1'000};

// A statement is a transaction: its limits are set in it before it waits for a row.
#define MC_PG_LIMITS                                                             \
  "limits AS MATERIALIZED (SELECT set_config('lock_timeout', $2 || 'ms', true) " \
  "|| set_config('synchronous_commit', 'off', true) AS set)"
// Long enough for a commit that had all arrived; a leader that renews in time is never near it.
#define MC_PG_OVERDUE "expires_at < clock_timestamp() - interval '1 second'"
#define MC_PG_EXPIRY "clock_timestamp() + $5 * interval '1 millisecond'"

// $1 the holder, $2 limits, $3 name, $4 address, $5 time, $6 wanted, $7 1: is about to stop. What
// comes before what: `counted` is read before a row is locked for taking, and ends what it counts.
constexpr std::string_view kClaim =
    "WITH " MC_PG_LIMITS
    ", present AS (INSERT INTO members (holder, name, address, expires_at) "
    "SELECT $1, $3, $4, " MC_PG_EXPIRY
    " FROM limits WHERE $7 = 0 ON CONFLICT (holder) DO UPDATE SET name = excluded.name, "
    "address = excluded.address, expires_at = excluded.expires_at RETURNING 1)"
    ", renewed AS (UPDATE shards SET name = $3, address = $4, expires_at = " MC_PG_EXPIRY
    " FROM limits WHERE holder = $1 RETURNING shard, epoch)"
    ", counted AS MATERIALIZED (SELECT (SELECT count(*) FROM present) + (SELECT count(*) FROM "
    "renewed) AS n)"
    ", free AS MATERIALIZED (SELECT shard FROM shards WHERE shard = ANY($6) AND holder <> $1 "
    "AND expires_at < clock_timestamp() AND (SELECT n FROM counted) >= 0 FOR UPDATE SKIP LOCKED)"
    ", taken AS (UPDATE shards s SET epoch = s.epoch + 1, holder = $1, name = $3, address = $4, "
    "expires_at = " MC_PG_EXPIRY
    " FROM free WHERE s.shard = free.shard RETURNING s.shard, s.epoch)"
    ", told AS MATERIALIZED (SELECT pg_notify('maestro_leader', '') FROM taken LIMIT 1)"
    ", old AS MATERIALIZED (SELECT holder FROM members WHERE (holder = $1 AND $7 = 1 "
    "OR holder <> $1 AND expires_at < clock_timestamp() - $5 * interval '10 milliseconds') "
    "AND (SELECT n FROM counted) >= 0 FOR UPDATE SKIP LOCKED)"
    ", gone AS (DELETE FROM members m USING old WHERE m.holder = old.holder)"
    ", own AS (SELECT * FROM renewed UNION ALL SELECT * FROM taken) "
    "SELECT true, s.shard, coalesce(own.epoch, s.epoch), "
    "CASE WHEN own.shard IS NULL THEN s.holder ELSE $1 END, "
    "CASE WHEN own.shard IS NULL THEN s.name ELSE $3 END, "
    "CASE WHEN own.shard IS NOT NULL THEN $4 WHEN s.holder = $1 OR "
    "s.expires_at < clock_timestamp() THEN '' ELSE s.address END, own.shard IS NOT NULL, "
    "own.shard IS NULL AND s." MC_PG_OVERDUE
    " FROM shards s LEFT JOIN own ON own.shard = s.shard LEFT JOIN told ON true "
    "UNION ALL SELECT false, -1, 0, holder, name, address, holder = $1, false FROM members "
    "WHERE holder <> $1 AND expires_at >= clock_timestamp() ORDER BY 1 DESC, 2, 4";

// $1 the holder, $2 limits, $3 shards and $4 their epochs. What was given before and is another's,
// or this one's again, stays.
constexpr std::string_view kGive =
    "WITH " MC_PG_LIMITS
    ", given AS (UPDATE shards s SET holder = '', address = '', expires_at = '-infinity' "
    "FROM limits, unnest($3, $4) AS own(shard, epoch) WHERE s.shard = own.shard AND "
    "s.epoch = own.epoch AND s.holder = $1 RETURNING 1) "
    "SELECT pg_notify('maestro_leader', '') FROM given LIMIT 1";

// $1 a holder, $2 limits. Whoever else is at one of the rows does the same, or is heard of soon.
constexpr std::string_view kGiveAll =
    "WITH " MC_PG_LIMITS
    ", its AS MATERIALIZED (SELECT shard FROM shards, limits WHERE holder = $1 "
    "FOR NO KEY UPDATE OF shards SKIP LOCKED)"
    ", given AS (UPDATE shards s SET holder = '', address = '', expires_at = '-infinity' "
    "FROM its WHERE s.shard = its.shard RETURNING 1)"
    ", it AS MATERIALIZED (SELECT holder FROM members, limits WHERE holder = $1 "
    "FOR UPDATE OF members SKIP LOCKED)"
    ", gone AS (DELETE FROM members m USING it WHERE m.holder = it.holder RETURNING 1) "
    "SELECT pg_notify('maestro_leader', '') FROM "
    "(SELECT * FROM given UNION ALL SELECT * FROM gone) AS done LIMIT 1";

// $1 the holder, $2 limits, $3 shards, $4 their epochs, $5 names of transactions under them. A
// transaction may have the name in another schema of the database: it has no lock on this table.
// What commits holds the row in a way that allows this lock; a renewal waits for it.
constexpr std::string_view kCutOff =
    "WITH " MC_PG_LIMITS
    ", lapsed AS MATERIALIZED (SELECT its.name FROM limits, unnest($3, $4, $5) AS "
    "its(shard, epoch, name) JOIN shards s ON s.shard = its.shard AND s.epoch = its.epoch "
    "WHERE s.holder <> $1 AND s." MC_PG_OVERDUE
    " FOR NO KEY UPDATE OF s SKIP LOCKED)"
    ", holding AS MATERIALIZED (SELECT DISTINCT a.pid FROM lapsed JOIN pg_stat_activity a ON "
    "a.application_name = lapsed.name JOIN pg_locks l ON l.pid = a.pid WHERE "
    "a.datname = current_database() AND a.usename = current_user AND a.pid <> pg_backend_pid() "
    "AND l.locktype = 'relation' AND l.relation = 'shards'::regclass AND l.granted) "
    "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM holding";

// $1 the shard.
constexpr std::string_view kReady =
    "SELECT pg_notify('maestro_ready', $1::text) FROM "
    "(SELECT set_config('synchronous_commit', 'off', true)) AS limits";

// "UUID PROCESS"
std::string fresh_holder() {
  Rng rng(random_seed());
  return to_string(make_uuid(system_clock().now(), rng)) + " " + process_name(::getpid());
}

std::string_view process_of(std::string_view holder) {
  const std::size_t end = holder.find(' ');
  return end == std::string_view::npos ? std::string_view() : holder.substr(end + 1);
}

std::int64_t wide(int shard) { return shard; }

Cluster read(const pg::Rows& rows) {
  Cluster out;
  for (int row = 0; row < rows.size(); ++row) {
    if (rows.boolean(row, 0)) {
      out.shards.push_back({.shard = static_cast<int>(rows.integer(row, 1)),
                            .epoch = rows.integer(row, 2),
                            .holder = rows.text(row, 3),
                            .name = rows.text(row, 4),
                            .address = rows.text(row, 5),
                            .mine = rows.boolean(row, 6)});
    } else {
      out.members.push_back({rows.text(row, 3), rows.text(row, 4), rows.text(row, 5)});
    }
  }
  return out;
}
}  // namespace

Leases::Leases(PostgresSettings settings, Claim claim)
    : settings_(std::move(settings)),
      claim_(std::move(claim)),
      holder_(fresh_holder()),
      lock_timeout_(std::to_string(settings_.lock_timeout.count())),
      woken_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  MC_CHECK(woken_ >= 0);
}
Leases::~Leases() { ::close(woken_); }

Result<std::unique_ptr<Leases>> Leases::open(PostgresSettings settings, Claim claim) {
  // tidy: allow banned: the constructor is private
  std::unique_ptr<Leases> leases(new Leases(std::move(settings), std::move(claim)));
  if (const auto ready = leases->connection(); !ready) return ready.error();
  return leases;
}

Result<pg::Connection*> Leases::connection() {
  if (connection_ && connection_->usable()) return connection_.get();
  connection_.reset();
  auto opened = pg::Connection::open(settings_);
  if (!opened) return opened.error();
  connection_ = std::move(*opened);
  hears_ = connection_->owns_session();
  if (hears_) {
    const std::array<pg::Statement, 3> listen{pg::Statement{"LISTEN maestro_leader", {}},
                                              pg::Statement{"LISTEN maestro_tokens", {}},
                                              pg::Statement{"LISTEN maestro_ready", {}}};
    (void)connection_->run(listen);  // what fails is seen by the claim that follows
  }
  // Nobody kept for it what was said meanwhile. Of the leases the claim that follows tells.
  if (std::exchange(connected_before_, true)) {
    missed_.tokens = true;
    missed_.ready = known_;
  }
  return connection_.get();
}

// --- claims ---

Result<Cluster> Leases::claim(const std::set<int>& wanted) {
  const std::set<int> takes = retired_ ? std::set<int>() : wanted;
  Result<Cluster> found = ask(takes);
  if (!found) {
    again_ = Millis(0);  // who asks knows when to ask one that does not answer
    return found;
  }
  watch(*found);
  // The dead answer and write nothing: what they had sent is made before others take it, or never.
  if (bury()) {
    found = ask(takes);
    if (!found) return found;
  }
  if (!overdue_.empty()) cut_off();
  if (const Status settled = settle(); !settled) return settled.error();
  return found;
}

Result<Cluster> Leases::ask(const std::set<int>& wanted) {
  const auto connected = connection();
  if (!connected) return connected.error();
  const pg::Statement ask{std::string(kClaim), pg::Params()
                                                   .add(pg::Text{holder_})
                                                   .add(pg::Text{lock_timeout_})
                                                   .add(pg::Text{claim_.name})
                                                   .add(pg::Text{claim_.address})
                                                   .add(claim_.time.count())
                                                   .list(wanted, wide)
                                                   .add(std::int64_t{retired_ ? 1 : 0})};
  const pg::Answer answer = (*connected)->run({&ask, 1});
  if (!answer) return pg::to_error(*answer.failure);
  Cluster found = read(answer.rows.front());
  if (found.shards.empty()) return Error{Code::store_failed, "the rows of the leases are gone", {}};
  if (!retired_) found.members.push_back(self());
  epochs_.clear();
  known_.clear();
  for (const ShardLease& lease : found.shards) {
    known_.insert(lease.shard);
    if (lease.mine) epochs_.emplace(lease.shard, lease.epoch);
  }
  note_skipped(found, answer.rows.front(), wanted);
  return found;
}

Status Leases::settle() {
  if (std::ranges::includes(settled_, epochs_)) return {};
  if (const pg::Answer done = connection_->settle(); !done) return pg::to_error(*done.failure);
  settled_ = epochs_;
  return {};
}

// A commit under way, or one who was quicker: that one is heard of.
void Leases::note_skipped(const Cluster& found, const pg::Rows& rows, const std::set<int>& wanted) {
  const bool skipped = std::ranges::any_of(found.shards, [&](const ShardLease& lease) {
    return wanted.contains(lease.shard) && lease.address.empty();
  });
  again_ = skipped ? std::clamp(2 * again_, kAgainLeast, kAgainMost) : Millis(0);
  overdue_.clear();
  for (int row = 0; row < rows.size(); ++row) {
    const int shard = static_cast<int>(rows.integer(row, 1));
    if (rows.boolean(row, 7) && wanted.contains(shard))
      overdue_.emplace(shard, rows.integer(row, 2));
  }
}

// What fails is tried again by the next claim that finds them held.
void Leases::cut_off() {
  std::vector<std::string> names;
  for (const auto& [shard, epoch] : overdue_) names.push_back(pg::lease_name(shard, epoch));
  const pg::Statement cut{std::string(kCutOff),
                          pg::Params()
                              .add(pg::Text{holder_})
                              .add(pg::Text{lock_timeout_})
                              .list(overdue_, [](const auto& one) { return wide(one.first); })
                              .list(overdue_, [](const auto& one) { return one.second; })
                              .list(names, [](const auto& name) { return pg::Text{name}; })};
  const pg::Answer answer = connection_->run({&cut, 1});
  if (!answer) {
    log_warn("a lapsed lease is held by a session that cannot be ended",
             {{"reason", answer.failure->message}});
    return;
  }
  const std::int64_t ended = answer.rows.front().integer(0, 0);
  // They let go within moments; those that do not are not waited for so closely.
  if (ended == 0 || std::exchange(cut_, overdue_) == overdue_) return;
  log_warn("sessions that held lapsed leases were ended", {{"sessions", ended}});
  again_ = kAgainLeast;
}

// --- the dead ---

void Leases::watch(const Cluster& found) {
  std::map<std::string, ProcessWatch> watches;
  const auto keep = [&](const std::string& holder) {
    if (holder.empty() || holder == holder_ || watches.contains(holder)) return;
    const auto known = watches_.find(holder);
    watches.emplace(holder, known != watches_.end() ? std::move(known->second)
                                                    : ProcessWatch(process_of(holder)));
  };
  for (const ShardLease& lease : found.shards) keep(lease.holder);
  for (const Member& member : found.members) keep(member.holder);
  watches_ = std::move(watches);
}

bool Leases::bury() {
  bool any = false;
  for (auto& [holder, process] : watches_) {
    if (!process.ended()) continue;
    any = true;
    const Status given = send(
        {std::string(kGiveAll), pg::Params().add(pg::Text{holder}).add(pg::Text{lock_timeout_})});
    if (!given) break;  // the question that follows fails, too, or the next one finds it again
  }
  return any;
}

// --- giving ---

Status Leases::send(pg::Statement statement) {
  const auto connected = connection();
  if (!connected) return connected.error();
  const pg::Answer answer = (*connected)->run({&statement, 1});
  return answer ? Status() : Status(pg::to_error(*answer.failure));
}

Status Leases::give(const std::set<int>& shards) {
  std::map<int, std::int64_t> given;
  for (const auto& [shard, epoch] : epochs_)
    if (shards.contains(shard)) given.emplace(shard, epoch);
  return send({std::string(kGive), pg::Params()
                                       .add(pg::Text{holder_})
                                       .add(pg::Text{lock_timeout_})
                                       .list(given, [](const auto& one) { return wide(one.first); })
                                       .list(given, [](const auto& one) { return one.second; })});
}

Status Leases::leave() {
  retire();
  return send(
      {std::string(kGiveAll), pg::Params().add(pg::Text{holder_}).add(pg::Text{lock_timeout_})});
}

// --- news ---

Status Leases::tell_ready(int shard) {
  return send({std::string(kReady), pg::Params().add(wide(shard))});
}

void Leases::hear(News& news) {
  if (!connection_) return;
  for (const pg::Notification& heard : connection_->take_notifications()) {
    if (heard.channel == "maestro_leader") news.leases = true;
    if (heard.channel == "maestro_tokens") news.tokens = true;
    int shard = -1;
    const char* end = heard.payload.data() + heard.payload.size();
    if (heard.channel == "maestro_ready" &&
        std::from_chars(heard.payload.data(), end, shard).ec == std::errc())
      news.ready.insert(shard);
  }
  if (!connection_->usable()) news.leases = true;  // the next claim makes another
  for (auto& [holder, process] : watches_)
    if (process.descriptor() >= 0 && process.ended()) news.leases = true;
}

Leases::News Leases::wait(std::chrono::steady_clock::time_point until) {
  News news = std::exchange(missed_, {});
  const bool had_connection = connection_ && connection_->usable();
  if (again_.count() > 0) until = std::min(until, std::chrono::steady_clock::now() + again_);
  for (;;) {
    if (had_connection) hear(news);
    std::uint64_t wakes = 0;
    const bool woken = ::read(woken_, &wakes, sizeof wakes) > 0;
    const bool over = std::chrono::steady_clock::now() >= until;
    if (over && again_.count() > 0) news.leases = true;
    if (news.any() || woken || over) return news;
    if (!had_connection) {
      pollfd socket{woken_, POLLIN, 0};
      const auto left = std::chrono::ceil<Millis>(until - std::chrono::steady_clock::now());
      (void)::poll(&socket, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
      continue;
    }
    std::vector<int> others{woken_};
    for (const auto& [holder, process] : watches_) others.push_back(process.descriptor());
    connection_->wait_for_news(others, until);
  }
}

void Leases::wake() {
  const std::uint64_t one = 1;
  (void)!::write(woken_, &one, sizeof one);
}

}  // namespace mc::db
