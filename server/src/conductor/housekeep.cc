#include "conductor/housekeep.h"

namespace mc::conductor {

bool housekeep(db::Store& store, blob::BlobStore& blobs, const Options& options, Instant now) {
  constexpr int kAtOnce = 1000;
  const auto receipts = store.drop_receipts(now - options.keep_receipts, kAtOnce);
  const auto runs = store.purge_runs(now - options.keep_deleted_runs, kAtOnce,
                                     [&](Uuid run) { return blobs.remove_logs(run); });
  return (receipts && *receipts == kAtOnce) || (runs && *runs == kAtOnce);
}

}  // namespace mc::conductor
