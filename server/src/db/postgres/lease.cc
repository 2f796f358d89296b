#include "db/postgres/lease.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/rng.h"
#include "base/time.h"
#include "base/uuid.h"
#include "db/postgres/connection.h"

namespace mc::db {
namespace {
// A statement is a transaction: its limits are set in it before it waits for the row.
constexpr std::string_view kClaim =
    "WITH taken AS (UPDATE leader SET epoch = epoch + CASE WHEN holder = $1 THEN 0 ELSE 1 END, "
    "holder = $1, name = $2, address = $3, "
    "expires_at = clock_timestamp() + $4 * interval '1 millisecond' "
    "FROM (SELECT set_config('lock_timeout', $5 || 'ms', true), "
    "set_config('synchronous_commit', 'off', true)) AS limits "
    "WHERE holder = $1 OR expires_at < clock_timestamp() RETURNING name, address, epoch, holder) "
    "SELECT name, address, epoch, true, holder FROM taken UNION ALL SELECT name, "
    "CASE WHEN expires_at < clock_timestamp() THEN '' ELSE address END, epoch, false, holder "
    "FROM leader WHERE NOT EXISTS (SELECT 1 FROM taken)";

// "UUID PROCESS"
std::string fresh_holder() {
  Rng rng(random_seed());
  return to_string(make_uuid(system_clock().now(), rng)) + " " + process_name(::getpid());
}

std::string_view process_of(std::string_view holder) {
  const std::size_t end = holder.find(' ');
  return end == std::string_view::npos ? std::string_view() : holder.substr(end + 1);
}
}  // namespace

Lease::Lease(PostgresSettings settings, Claim claim)
    : settings_(std::move(settings)),
      claim_(std::move(claim)),
      holder_(fresh_holder()),
      lock_timeout_(std::to_string(settings_.lock_timeout.count())),
      woken_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  MC_CHECK(woken_ >= 0);
}
Lease::~Lease() { ::close(woken_); }

Result<std::unique_ptr<Lease>> Lease::open(PostgresSettings settings, Claim claim) {
  // tidy: allow banned: the constructor is private
  std::unique_ptr<Lease> lease(new Lease(std::move(settings), std::move(claim)));
  if (const auto ready = lease->connection(); !ready) return ready.error();
  return lease;
}

Result<pg::Connection*> Lease::connection() {
  if (connection_ && connection_->usable()) return connection_.get();
  connection_.reset();
  auto opened = pg::Connection::open(settings_);
  if (!opened) return opened.error();
  connection_ = std::move(*opened);
  if (connection_->owns_session()) {
    const pg::Statement listen{"LISTEN maestro_leader", {}};
    (void)connection_->run({&listen, 1});  // what fails is seen by the claim that follows
  }
  return connection_.get();
}

void Lease::wait(std::chrono::steady_clock::time_point until) {
  if (connection_) {
    if (connection_->take_notifications() > 0) return;
    connection_->wait_for_news({woken_, watch_.descriptor()}, until);
    (void)connection_->take_notifications();
    return;
  }
  pollfd woken{woken_, POLLIN, 0};
  const auto left = std::chrono::ceil<Millis>(until - std::chrono::steady_clock::now());
  (void)::poll(&woken, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
}

void Lease::wake() {
  const std::uint64_t one = 1;
  (void)!::write(woken_, &one, sizeof one);
}

Result<Leadership> Lease::claim() {
  const auto found = ask();
  if (!found) return found;
  if (found->holder != watched_) {
    watched_ = found->holder;
    watch_ = found->mine ? ProcessWatch() : ProcessWatch(process_of(watched_));
  }
  // The dead answer and write nothing: what they had sent is made before the row changes, or never.
  if (!watch_.ended()) return found;
  if (const Status given = give_back(watched_); !given) return given.error();
  return ask();
}

Result<Leadership> Lease::ask() {
  const auto connected = connection();
  if (!connected) return connected.error();
  const pg::Statement ask{std::string(kClaim), pg::Params()
                                                   .add(pg::Text{holder_})
                                                   .add(pg::Text{claim_.name})
                                                   .add(pg::Text{claim_.address})
                                                   .add(claim_.time.count())
                                                   .add(pg::Text{lock_timeout_})};
  const pg::Answer answer = (*connected)->run({&ask, 1});
  if (!answer) return pg::to_error(*answer.failure);
  const pg::Rows& rows = answer.rows.front();
  if (rows.size() != 1) return Error{Code::store_failed, "the row of the lease is gone", {}};
  Leadership found{.holder = rows.text(0, 4),
                   .name = rows.text(0, 0),
                   .address = rows.text(0, 1),
                   .epoch = rows.integer(0, 2),
                   .mine = rows.boolean(0, 3)};
  if (found.mine && found.epoch != settled_epoch_) {
    if (const pg::Answer settled = (*connected)->settle(); !settled)
      return pg::to_error(*settled.failure);
    settled_epoch_ = found.epoch;
  }
  return found;
}

Status Lease::release() { return give_back(holder_); }

Status Lease::give_back(const std::string& holder) {
  const auto connected = connection();
  if (!connected) return connected.error();
  const pg::Statement give{
      "WITH given AS (UPDATE leader SET holder = '', address = '', expires_at = '-infinity' "
      "WHERE holder = $1 RETURNING name) SELECT pg_notify('maestro_leader', name) FROM given",
      pg::Params().add(pg::Text{holder})};
  const pg::Answer answer = (*connected)->transact(pg::Kind::write, {&give, 1});
  return answer ? Status() : Status(pg::to_error(*answer.failure));
}

}  // namespace mc::db
