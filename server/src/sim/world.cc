#include "sim/world.h"

#include "sim/client_node.h"
#include "sim/cluster.h"
#include "sim/server_node.h"
#include "sim/worker_node.h"

namespace mc::sim {
namespace {
constexpr Instant kBegin{1'767'225'600'000};  // 2026-01-01T00:00:00Z
// Longer than all that the workload waits for on purpose, and shorter than the time-outs that the
// engine has for jobs that say none: what only those would end counts as stuck.
constexpr Millis kPatience = std::chrono::hours(5);
constexpr Millis kInspectEvery = std::chrono::minutes(1);
constexpr std::int64_t kStepsMax = 2'000'000;
constexpr std::uint64_t kReplicasSalt = 0x7265706c69636173;  // chosen apart from all else of a seed

class World {
 public:
  World(std::uint64_t seed, const Faults& faults, const Cluster::Plan& plan,
        const std::function<void(const std::string&)>& trace)
      : rng_(seed),
        faults_(faults),
        timeline_(kBegin),
        network_(timeline_, faults_, rng_.next()),
        options_(choose_options(plan.replicas)),
        checker_(timeline_, options_, trace) {
    if (plan.replicas == 1) {
      servers_ = std::make_unique<ServerNode>(timeline_, faults_, options_, checker_, rng_.next());
    } else {
      auto cluster = std::make_unique<Cluster>(plan, timeline_, faults_, network_, options_,
                                               checker_, rng_.next());
      cluster_ = cluster.get();
      servers_ = std::move(cluster);
    }
    const int workers = 1 + static_cast<int>(rng_.below(3));
    for (int i = 0; i < workers; ++i) add_worker(i);
    const int clients = 1 + static_cast<int>(rng_.below(3));
    for (int i = 0; i < clients; ++i) {
      clients_.push_back(std::make_unique<ClientNode>("client" + std::to_string(i), timeline_,
                                                      network_, *servers_, checker_, rng_.next()));
    }
  }

  Verdict run() {
    servers_->boot();
    for (const auto& worker : workers_) worker->boot();
    for (const auto& client : clients_) {
      client->begin(Millis(1'000 + static_cast<std::int64_t>(rng_.below(9'000))));
    }
    inject();
    const Millis noisy(60'000 + static_cast<std::int64_t>(rng_.below(600'000)));
    timeline_.after(noisy, [this] { settle(); });
    const Instant until = kBegin + noisy + kPatience;
    std::int64_t steps = 0;
    while (checker_.violation().empty() && !(settling_ && checker_.all_final())) {
      if (timeline_.now() > until || ++steps > kStepsMax || !timeline_.step()) break;
    }
    if (checker_.violation().empty()) checker_.finish(servers_->disk(), true);
    if (checker_.violation().empty()) servers_->compare();
    Verdict verdict{.violation = checker_.violation(), .steps = steps};
    verdict.runs = checker_.runs();
    verdict.events = checker_.events();
    verdict.commits = servers_->commits();
    verdict.crashes = servers_->crashes();
    verdict.replicas = servers_->count();
    verdict.takeovers = servers_->takeovers();
    verdict.injected = injected_ + network_.injected() + servers_->injected();
    verdict.fingerprint = checker_.fingerprint();
    for (const auto& worker : workers_) verdict.jobs += worker->finished();
    return verdict;
  }

 private:
  conductor::Options choose_options(int replicas) {
    conductor::Options options;
    options.open_runs_max = rng_.chance(0.2) ? 6 : 60;
    options.snapshot_every = rng_.chance(0.7) ? 5 : 200;
    if (replicas == 1) options.embedded_worker = "worker0";
    options.report = [this](const std::string& line) {
      checker_.violated("the watchdog: " + line);
    };
    return options;
  }

  void add_worker(int index) {
    WorkerNode::Identity identity{"worker" + std::to_string(index), {"linux"}, 1};
    identity.slots += static_cast<int>(rng_.below(4));
    if (rng_.chance(0.5)) identity.labels.emplace_back("gpu");
    workers_.push_back(std::make_unique<WorkerNode>(std::move(identity), timeline_, faults_,
                                                    network_, *servers_, checker_, rng_.next()));
  }

  // Repeats `fault` at random times around `mean`, until the world settles.
  void repeat(Millis mean, const std::function<void()>& fault) {
    if (mean.count() == 0) return;
    const auto span = static_cast<std::uint64_t>(2 * mean.count());
    timeline_.after(Millis(static_cast<std::int64_t>(rng_.below(span))), [this, mean, fault] {
      if (settling_) return;
      ++injected_;
      fault();
      repeat(mean, fault);
    });
  }

  void inject() {
    repeat(faults_.crash_every, [this] {
      servers_->crash();
      // The worker in the server's process goes with it.
      if (cluster_ == nullptr) workers_.front()->crash();
    });
    repeat(faults_.pause_every, [this] { servers_->pause(some_time(40'000)); });
    repeat(faults_.drain_every, [this] { servers_->drain(); });
    repeat(faults_.clock_jump_every, [this] { servers_->jump_clock(some_time(120'000)); });
    repeat(faults_.worker_crash_every, [this] { some_worker().crash(); });
    repeat(faults_.worker_pause_every, [this] { some_worker().pause(some_time(40'000)); });
    repeat(faults_.partition_every, [this] {
      const bool worker = rng_.chance(0.7);
      const std::string peer =
          worker ? some_worker().name() : clients_[rng_.below(clients_.size())]->name();
      network_.cut(peer);
      timeline_.after(some_time(60'000), [this, peer] { network_.mend(peer); });
    });
    if (cluster_ != nullptr) inject_into_cluster(cluster_->faults(), cluster_->database());
  }

  void inject_into_cluster(const ClusterFaults& faults, Database& database) {
    repeat(faults.restart_every, [&database] { database.restart(); });
    repeat(faults.away_every, [this, &database] { database.go_away(some_time(40'000)); });
    repeat(faults.stall_every, [this, &database] { database.stall(some_time(20'000)); });
    repeat(faults.cut_every, [this, &database] {
      const std::string replica = cluster_->some_replica().name();
      checker_.note(replica + " is cut off from the database");
      database.cut(replica);
      timeline_.after(some_time(60'000), [&database, replica] { database.mend(replica); });
    });
    repeat(faults.lonely_every, [this] {
      const std::string replica = cluster_->some_replica().name();
      const std::string peer = some_peer_of(replica);
      checker_.note(replica + " and " + peer + " are cut off from one another");
      network_.cut(peer, replica);
      timeline_.after(some_time(60'000), [this, peer, replica] { network_.mend(peer, replica); });
    });
  }

  std::string some_peer_of(const std::string& replica) {
    if (rng_.chance(0.4)) return some_worker().name();
    if (rng_.chance(0.3)) return clients_[rng_.below(clients_.size())]->name();
    const std::string other =
        cluster_->name(static_cast<int>(rng_.below(static_cast<std::uint64_t>(cluster_->count()))));
    return other == replica ? some_worker().name() : other;
  }

  void settle() {
    settling_ = true;
    servers_->calm();
    network_.calm();
    for (const auto& worker : workers_) worker->calm();
    for (const auto& client : clients_) client->wind_down();
    timeline_.after(2 * kInspectEvery, [this] { inspect(); });
  }

  void inspect() {
    if (const auto now = servers_->up()) checker_.overdue(*now);
    timeline_.after(kInspectEvery, [this] { inspect(); });
  }

  Millis some_time(std::int64_t most_ms) {
    return Millis(1 + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(most_ms))));
  }
  WorkerNode& some_worker() { return *workers_[rng_.below(workers_.size())]; }

  Rng rng_;
  const Faults& faults_;
  Timeline timeline_;
  Network network_;
  const conductor::Options options_;
  Checker checker_;
  std::unique_ptr<Servers> servers_;
  Cluster* cluster_ = nullptr;  // servers_, when they are replicas
  std::vector<std::unique_ptr<WorkerNode>> workers_;
  std::vector<std::unique_ptr<ClientNode>> clients_;
  std::int64_t injected_ = 0;  // by inject()
  bool settling_ = false;
};
}  // namespace

int replicas_of(std::uint64_t seed, std::string_view profile, int wanted) {
  if (wanted != kByChance) return wanted;
  Rng rng(seed ^ kReplicasSalt);
  const bool several = rng.chance(0.25) || profile == "database";
  return several ? 2 + static_cast<int>(rng.below(3)) : 1;
}

Verdict simulate(std::uint64_t seed, std::string_view profile, int wanted,
                 const std::function<void(const std::string&)>& trace) {
  Rng rng(seed);
  const Faults faults = *choose_faults(profile, rng);
  Rng more(seed ^ ~kReplicasSalt);
  const Cluster::Plan plan{.replicas = replicas_of(seed, profile, wanted),
                           .faults = choose_cluster_faults(profile, more)};
  World world(rng.next(), faults, plan, trace);
  Verdict verdict = world.run();
  verdict.faults = describe(faults);
  if (plan.replicas > 1) verdict.faults += "; " + describe(plan.faults);
  return verdict;
}

}  // namespace mc::sim
