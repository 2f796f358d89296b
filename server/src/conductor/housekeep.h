// Drops what is out of date: receipts of idempotency keys, deleted runs with their logs.
#pragma once

#include "blob/blob_store.h"
#include "conductor/service.h"
#include "db/store.h"

namespace mc::conductor {

// A bounded piece of it, so that commits do not wait long. True: more is left. What fails is tried
// again by the next call. Thread rule: that of db::Store::commit.
bool housekeep(db::Store& store, blob::BlobStore& blobs, const Options& options, Instant now);

}  // namespace mc::conductor
