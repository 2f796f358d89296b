// The shards, for workers whom they knew: a shard that has a new leader knows nobody, and each
// worker would be told to register anew, with all of them.
//
// A poll, heartbeat or completion that a shard answers with worker_not_found is held back when it
// is remembered here how that worker registered: it is registered at that shard again, under its
// id, instance and life, draining if another shard says so, with the token of the call, and the
// call is made once more. That answer counts, whatever it is. When the shard does not take the
// worker (somebody else has its name, it may not register), the first answer counts; when it is
// away, that does.
//
// Not for farewells: who leaves need not be known. Nor for who is gone, nor for bodies beyond
// kBodyMax, which would have to be kept for the while.
#pragma once

#include <atomic>
#include <memory>

#include "cluster/guests.h"
#include "cluster/shards.h"

namespace mc::cluster {

// Threads: any, for all of it.
class KnownAgain final : public Shards {
 public:
  static constexpr std::size_t kBodyMax = 1 << 20;

  // `shards` stays until each call has been answered.
  KnownAgain(Shards& shards, std::shared_ptr<const Guests> guests);
  // Nobody is registered from now on.
  void stop() { *stopped_ = true; }

  int count() const override { return shards_.count(); }
  void call(int shard, http::Request request, std::function<void(http::Response)> done) override;
  bool is_here(int shard) const override { return shards_.is_here(shard); }
  bool may_have_ready(int shard) const override { return shards_.may_have_ready(shard); }

 private:
  Shards& shards_;
  // Shared with the calls under way.
  const std::shared_ptr<const Guests> guests_;
  const std::shared_ptr<std::atomic<bool>> stopped_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace mc::cluster
