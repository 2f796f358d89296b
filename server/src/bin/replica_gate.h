// Stands before the API of one replica of a cluster. One replica leads and serves; the others pass
// connections on to it. Probes and figures are always this replica's own answer.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

#include "bin/gate.h"
#include "redis/keeper.h"

namespace mc::bin {

// Threads: any.
class ReplicaGate final : public http::Handler {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  // `leader` leads, at HOST:PORT; both empty: nobody is known to.
  void follow(const std::string& leader, const std::string& address);
  // This replica leads until then, unless it says so again: a process that stood still for longer
  // answers nothing from what it remembers.
  void lead_until(Deadline deadline, const std::string& own_name);
  // `api` must outlive every call. Requires: lead_until came first.
  void open(http::Handler& api) { api_.open(api); }
  // From now on nothing is served here, whatever lead_until says.
  void shut();
  // What /readyz says of the database: empty: it answers.
  void note_database(const std::string& trouble);
  // Redis is shown by /readyz, which does not depend on it, and by /metrics. `redis` outlives every
  // call.
  void watch(const redis::Keeper* redis);

  http::Admission admit(const http::Request& head) override;
  void handle(http::Request request, http::Reply reply) override;
  std::optional<std::string> elsewhere(std::string_view start) override;

  bool leads() const;

 private:
  http::Response readiness() const;
  http::Response figures() const;
  http::Response answer(const http::Request& request) const;

  Gate api_;
  std::atomic<Deadline> leads_until_{Deadline::min()};
  std::atomic<bool> shut_ = false;
  mutable std::mutex mutex_;  // guards what follows
  std::string leader_, address_, trouble_ = "not asked yet";
  const redis::Keeper* redis_ = nullptr;
};

}  // namespace mc::bin
