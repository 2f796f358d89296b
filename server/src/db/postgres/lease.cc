#include "db/postgres/lease.h"

#include "base/rng.h"
#include "base/time.h"
#include "base/uuid.h"
#include "db/postgres/connection.h"

namespace mc::db {
namespace {
constexpr std::string_view kClaim =
    "WITH taken AS (UPDATE leader SET epoch = epoch + CASE WHEN holder = $1 THEN 0 ELSE 1 END, "
    "holder = $1, name = $2, address = $3, "
    "expires_at = clock_timestamp() + $4 * interval '1 millisecond' "
    "WHERE holder = $1 OR expires_at < clock_timestamp() RETURNING name, address, epoch) "
    "SELECT name, address, epoch, true FROM taken UNION ALL "
    "SELECT name, CASE WHEN expires_at < clock_timestamp() THEN '' ELSE address END, epoch, false "
    "FROM leader WHERE NOT EXISTS (SELECT 1 FROM taken)";

std::string fresh_holder() {
  Rng rng(random_seed());
  return to_string(make_uuid(system_clock().now(), rng));
}
}  // namespace

Lease::Lease(PostgresSettings settings, Claim claim)
    : settings_(std::move(settings)), claim_(std::move(claim)), holder_(fresh_holder()) {}
Lease::~Lease() = default;

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
  return connection_.get();
}

Result<Leadership> Lease::claim() {
  const auto connected = connection();
  if (!connected) return connected.error();
  const pg::Statement ask{std::string(kClaim), pg::Params()
                                                   .add(pg::Text{holder_})
                                                   .add(pg::Text{claim_.name})
                                                   .add(pg::Text{claim_.address})
                                                   .add(claim_.time.count())};
  const pg::Answer answer = (*connected)->transact(pg::Kind::brief, {&ask, 1});
  if (!answer) return pg::to_error(*answer.failure);
  const pg::Rows& rows = answer.rows.front();
  if (rows.size() != 1) return Error{Code::store_failed, "the row of the lease is gone", {}};
  return Leadership{.holder = holder_,
                    .name = rows.text(0, 0),
                    .address = rows.text(0, 1),
                    .epoch = rows.integer(0, 2),
                    .mine = rows.boolean(0, 3)};
}

Status Lease::release() {
  const auto connected = connection();
  if (!connected) return connected.error();
  const pg::Statement give{
      "UPDATE leader SET holder = '', address = '', expires_at = '-infinity' WHERE holder = $1",
      pg::Params().add(pg::Text{holder_})};
  const pg::Answer answer = (*connected)->transact(pg::Kind::write, {&give, 1});
  return answer ? Status() : Status(pg::to_error(*answer.failure));
}

}  // namespace mc::db
