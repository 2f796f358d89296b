// A batch in SQL: the statements of one transaction, as many for a thousand runs as for one.
#pragma once

#include <string>
#include <vector>

#include "db/postgres/connection.h"
#include "db/store.h"

namespace mc::db::pg {

// For one Kind::write transaction. The first statement writes `id`, so that an attempt whose answer
// was lost is found by it, and another attempt waits for it. Locks are taken in an order that is
// the same for every batch, that of the shard's feed last. Errors: conflict, for what the batch
// alone shows.
Result<std::vector<Statement>> write_batch(const Batch& batch, Uuid id,
                                           const PostgresSettings& settings);

// Whether the id of this commit was there already: it was made.
bool is_made_already(const Failure& failure);
// Whether a guard failed, and of what: conflict, naming the run, record or receipt; store_failed,
// when another server leads or there is no such shard.
std::optional<Error> conflict_of(const Failure& failure, const Batch& batch);

}  // namespace mc::db::pg
