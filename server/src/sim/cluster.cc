#include "sim/cluster.h"

namespace mc::sim {

Cluster::Cluster(const Plan& plan, Timeline& timeline, const Faults& faults, Network& network,
                 const conductor::Options& options, Checker& checker, std::uint64_t seed)
    : timeline_(timeline),
      faults_(plan.faults),
      options_(options),
      checker_(checker),
      rng_(seed),
      database_(timeline, faults, faults_, checker, rng_.next()) {
  const auto find = [this](const std::string& name) -> ReplicaNode* {
    for (const auto& replica : replicas_) {
      if (replica->name() == name) return replica.get();
    }
    return nullptr;
  };
  const ReplicaNode::Site site{timeline, faults, network, database_, checker, options, find};
  for (int i = 1; i <= plan.replicas; ++i) {
    const double pace = 1 + faults_.drift * (2 * rng_.unit() - 1);
    replicas_.push_back(
        std::make_unique<ReplicaNode>("r" + std::to_string(i), site, pace, rng_.next()));
    database_.on_release([replica = replicas_.back().get()] { replica->hear_of_release(); });
  }
}

void Cluster::boot() {
  for (const auto& replica : replicas_) replica->boot();
}

std::string Cluster::name(int server) const {
  return replicas_.at(static_cast<std::size_t>(server))->name();
}

void Cluster::receive(int server, Call call) {
  replicas_.at(static_cast<std::size_t>(server))->receive(std::move(call));
}

void Cluster::calm() {
  database_.calm();
  for (const auto& replica : replicas_) replica->calm();
}

ReplicaNode* Cluster::leader() {
  for (const auto& replica : replicas_) {
    if (replica->up()) return replica.get();
  }
  return nullptr;
}

ReplicaNode& Cluster::some_replica() {
  const bool leads = rng_.chance(0.6);
  ReplicaNode* found = leader();
  return leads && found != nullptr ? *found : *replicas_[rng_.below(replicas_.size())];
}

std::optional<Instant> Cluster::up() {
  ReplicaNode* found = leader();
  return found != nullptr ? found->up() : std::nullopt;
}

// What the leader remembers, and what each replica would read if it took over.
void Cluster::compare() {
  if (ReplicaNode* found = leader()) checker_.compare(found->core(), found->name());
  for (const auto& replica : replicas_) {
    conductor::Core core(disk(), options_);
    if (!core.recover(timeline_.now())) return checker_.violated("the store cannot be read");
    checker_.compare(core, replica->name());
  }
}

std::int64_t Cluster::crashes() const {
  std::int64_t sum = 0;
  for (const auto& replica : replicas_) sum += replica->crashes();
  return sum;
}

std::int64_t Cluster::injected() const {
  std::int64_t sum = database_.injected();
  for (const auto& replica : replicas_) sum += replica->injected();
  return sum;
}

}  // namespace mc::sim
