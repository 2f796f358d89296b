#include "conductor/housekeep.h"

namespace mc::conductor {

bool housekeep(db::Store& store, blob::BlobStore& blobs, const Options& options, Instant now) {
  constexpr int kAtOnce = 1000;
  constexpr int kRunsAtOnce = 20;  // with all that is kept of them; commits wait meanwhile
  const auto receipts = options.housekeeps
                            ? store.drop_receipts(now - options.keep_receipts, kAtOnce)
                            : Result<std::int64_t>(0);
  const auto runs = store.purge_runs(now - options.keep_deleted_runs, kRunsAtOnce,
                                     [&](Uuid run) { return blobs.remove_logs(run); });
  return (receipts && *receipts == kAtOnce) || (runs && *runs == kRunsAtOnce);
}

}  // namespace mc::conductor
