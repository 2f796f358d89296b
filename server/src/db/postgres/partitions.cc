#include "db/postgres/partitions.h"

#include <fmt/format.h>

#include <chrono>

#include "db/postgres/migrate.h"

namespace mc::db::pg {
namespace {
constexpr int kMonthsAhead = 2;

Instant begin_of(std::chrono::year_month month) {
  const std::chrono::sys_days day{month / 1};
  return Instant{std::chrono::duration_cast<Millis>(day.time_since_epoch()).count()};
}
}  // namespace

Month month_of(Instant now, int ahead) {
  const auto day = std::chrono::floor<std::chrono::days>(Millis(now.ms));
  const std::chrono::year_month_day date{std::chrono::sys_days{day}};
  const auto month = date.year() / date.month() + std::chrono::months{ahead};
  return {fmt::format("events_{:04}_{:02}", static_cast<int>(month.year()),
                      static_cast<unsigned>(month.month())),
          begin_of(month), begin_of(month + std::chrono::months{1})};
}

Status make_partitions(Connection& connection, Instant now) {
  for (int ahead = 0; ahead <= kMonthsAhead; ++ahead) {
    const Month month = month_of(now, ahead);
    const Statement look{
        "SELECT to_regclass(quote_ident(current_schema()) || '.' || $1) IS NOT NULL OR "
        "EXISTS (SELECT 1 FROM events_default WHERE time >= $2 AND time < $3)",
        Params().add(Text{month.table}).add(month.begin).add(month.end)};
    const Answer there = connection.transact(Kind::read, {&look, 1});
    if (!there) return to_error(*there.failure);
    if (there.rows.front().boolean(0, 0)) continue;
    const std::vector<Statement> make = {
        schema_lock(),
        {"SET LOCAL lock_timeout = '1s'", {}},  // readers and writers queue behind this one
        {fmt::format("CREATE TABLE IF NOT EXISTS {} PARTITION OF events "
                     "FOR VALUES FROM ({}) TO ({})",
                     month.table, month.begin.ms, month.end.ms),
         {}}};
    const Answer made = connection.transact(Kind::write, make);
    if (!made) return to_error(*made.failure);
  }
  return {};
}

}  // namespace mc::db::pg
