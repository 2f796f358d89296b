// The way to the shards of a cluster, each an API of its own (docs/adr/0015-shards-of-projects.md).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace mc::cluster {

// Threads: any, for all of it.
class Shards {
 public:
  virtual ~Shards() = default;
  // From 0 to count() - 1. Does not change while the process lives; at least 1.
  virtual int count() const = 0;
  // Has `request` served by the API of that shard, here or at the replica that leads it. `done` is
  // called once, on any thread, maybe before this returns. A shard that nobody leads, or that
  // cannot be reached in time: a 503 problem. Every call ends within some seconds.
  virtual void call(int shard, http::Request request, std::function<void(http::Response)> done) = 0;
  // Led by this replica.
  virtual bool is_here(int shard) const = 0;
  // Whether that shard may have jobs that are ready and given to nobody; true when it is not known.
  // Must be right about what was decided before the last answer of the shard.
  virtual bool may_have_ready(int shard) const {
    static_cast<void>(shard);
    return true;
  }
};

// Header that says for which shard a request comes.
inline constexpr std::string_view kShardHeader = "Maestro-Shard";

// What the ids of a shard's tasks begin with: "s3.".
std::string task_prefix(int shard);
// The shard that a task belongs to: "s3.UUID.0.1" → 3. nullopt: the id does not say.
std::optional<int> shard_of_task(std::string_view task_id);

}  // namespace mc::cluster
