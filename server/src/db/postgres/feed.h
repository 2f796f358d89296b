// The feed of all shards. Commits of several take positions of one sequence at the same time, so a
// greater position may be visible before a smaller one. A reader is shown only what no commit can
// still come before: up to here.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "db/postgres/readers.h"
#include "db/store.h"

namespace mc::db::pg {

// Thread: any.
class Feed {
 public:
  // `readers` outlives this. Of one shard nothing is waited for: its positions become visible in
  // their own order.
  Feed(Readers& readers, int shards) : readers_(readers), ordered_(shards == 1) {}

  // As the port has it. Both wait for the commits under way that took a position, when there are
  // any that this one does not know of: they may be what is asked for. Errors: store_failed, when
  // these take longer than the limits of the settings; unreachable.
  Result<std::vector<FeedGroup>> read(std::int64_t after, int limit);
  Result<std::int64_t> end();

 private:
  // The greatest position up to which all is decided, as of a moment after the call.
  Result<std::int64_t> settled();
  Result<std::int64_t> ask();

  Readers& readers_;
  const bool ordered_;
  std::atomic<std::int64_t> known_ = 0;  // that all up to it is decided stays true
  std::mutex mutex_;                     // guards everything below
  std::condition_variable answered_;
  bool asking_ = false;
  std::uint64_t asked_ = 0;    // questions so far
  std::uint64_t answers_ = 0;  // the last that had an answer
};

}  // namespace mc::db::pg
