// Calls to the API of a shard for the lobby: in this process, or over HTTP to the replica that
// leads it.
#pragma once

#include "bin/seats.h"
#include "cluster/lobby.h"
#include "http/peers.h"

namespace mc::bin {

// Threads: any.
class ShardCalls final : public cluster::Shards {
 public:
  // Both outlive every call.
  ShardCalls(Seats& seats, http::Peers& peers) : seats_(seats), peers_(peers) {}
  int count() const override { return seats_.count(); }
  bool is_here(int shard) const override { return seats_.find(shard).stack != nullptr; }
  void call(int shard, http::Request request, http::Reply done) override;

 private:
  Seats& seats_;
  http::Peers& peers_;
};

}  // namespace mc::bin
