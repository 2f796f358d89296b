// The table `events` has a partition for each month (UTC) of the groups' times, so that old months
// can be archived or dropped whole. Groups of a month that has none go to events_default: nothing
// is refused, and reads find them there.
#pragma once

#include <string>

#include "db/postgres/connection.h"

namespace mc::db::pg {

struct Month {
  std::string table;  // events_2026_11
  Instant begin;
  Instant end;  // of the month: the first moment of the next one
};
// The month `ahead` months after the one of `now`.
Month month_of(Instant now, int ahead);

// Makes what is missing of this month's and the next two's. A month that already has groups in
// events_default is left there. Errors: store_failed: no right to, or not before the tables' users
// let go of them.
Status make_partitions(Connection& connection, Instant now);

}  // namespace mc::db::pg
