// How many shards the projects of a database have: rows of the table `shards`. They change only
// while no replica runs.
#pragma once

#include "db/postgres/connection.h"

namespace mc::db {

struct ShardsChange {
  int before = 0;
  int after = 0;
};

// For `maestro migrate shards`. What anybody held is void afterwards: every shard's next epoch is
// greater than all that there were, as projects move between shards. Requires: 1 <= shards <=
// kShardsMax (shard.h). Errors: store_failed: a replica is there or leads a shard (it is named), or
// the schema is not this build's; as open_postgres_store.
Result<ShardsChange> change_shards(const PostgresSettings& settings, int shards);

namespace pg {

// Requires: a schema of this build. Errors: store_failed.
Result<int> count_shards(Connection& connection);

// The sequence of positions is not behind the rows of `feeds` afterwards: a build that knows no
// sequence may have led meanwhile. Requires and errors: as count_shards.
Status catch_up_positions(Connection& connection);

}  // namespace pg
}  // namespace mc::db
