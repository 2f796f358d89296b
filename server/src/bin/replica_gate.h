// Stands before the APIs of one replica of a cluster: judges by the head of each request which
// shard it is for, and serves it here or says where it is served. Probes and figures are always
// this replica's own answer.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "bin/seats.h"
#include "bin/token_reader.h"
#include "cluster/lobby.h"
#include "cluster/shards.h"
#include "http/server.h"
#include "redis/keeper.h"

namespace mc::bin {

// Threads: any.
class ReplicaGate final : public http::Handler {
 public:
  // Outlives every call.
  explicit ReplicaGate(Seats& seats) : seats_(seats) {}
  // All outlive every call; until this is called requests wait.
  void open(TokenReader& tokens, cluster::Lobby& lobby, cluster::Shards& calls);
  // Whether the database answers and has a schema that this build can work on, for /readyz.
  void note_database(const Status& answers);
  // Redis is shown by /readyz, which does not depend on it, and by /metrics. `redis` outlives every
  // call.
  void watch(const redis::Keeper* redis);

  http::Admission admit(const http::Request& head) override;
  void handle(http::Request request, http::Reply reply) override;
  std::optional<http::Elsewhere> elsewhere(const http::Request& head) override;

 private:
  // What a request is for.
  struct Aim {
    enum class Kind : std::uint8_t {
      own,      // this replica: probes, figures
      lobby,    // workers of all shards
      log,      // the shard of the task that the body names
      shard,    // one shard
      any,      // any shard
      unknown,  // not known yet
    } kind = Kind::any;
    int shard = 0;
  };
  Aim aim_of(const http::Request& head) const;
  Aim aim_by_task(const http::Request& head) const;
  Seats::Seat seat_for(const Aim& aim) const;
  void pass_log(http::Request request, http::Reply reply) const;
  http::Response readiness() const;
  void tell_figures(http::Request request, http::Reply reply) const;
  http::Response answer(const http::Request& request) const;

  Seats& seats_;
  std::atomic<TokenReader*> tokens_ = nullptr;
  std::atomic<cluster::Lobby*> lobby_ = nullptr;
  std::atomic<cluster::Shards*> calls_ = nullptr;
  mutable std::mutex mutex_;  // guards what follows
  Status database_ = Error{Code::unreachable, "not asked yet", {}};
  const redis::Keeper* redis_ = nullptr;
};

}  // namespace mc::bin
