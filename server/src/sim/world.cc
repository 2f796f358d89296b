#include "sim/world.h"

#include "sim/client_node.h"
#include "sim/worker_node.h"

namespace mc::sim {
namespace {
constexpr Instant kBegin{1'767'225'600'000};  // 2026-01-01T00:00:00Z
// Longer than all that the workload waits for on purpose, and shorter than the time-outs that the
// engine has for jobs that say none: what only those would end counts as stuck.
constexpr Millis kPatience = std::chrono::hours(5);
constexpr Millis kInspectEvery = std::chrono::minutes(1);
constexpr std::int64_t kStepsMax = 2'000'000;

class World {
 public:
  World(std::uint64_t seed, const Faults& faults,
        const std::function<void(const std::string&)>& trace)
      : rng_(seed),
        faults_(faults),
        timeline_(kBegin),
        network_(timeline_, faults_, rng_.next()),
        options_(choose_options()),
        checker_(timeline_, options_, trace),
        server_(timeline_, faults_, options_, checker_, rng_.next()) {
    const int workers = 1 + static_cast<int>(rng_.below(3));
    for (int i = 0; i < workers; ++i) add_worker(i);
    const int clients = 1 + static_cast<int>(rng_.below(3));
    for (int i = 0; i < clients; ++i) {
      clients_.push_back(std::make_unique<ClientNode>("client" + std::to_string(i), timeline_,
                                                      network_, server_, checker_, rng_.next()));
    }
  }

  Verdict run() {
    server_.boot();
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
    if (checker_.violation().empty()) checker_.finish(server_.disk(), true);
    Verdict verdict{.violation = checker_.violation(), .steps = steps};
    verdict.runs = checker_.runs();
    verdict.events = checker_.events();
    verdict.commits = server_.commits();
    verdict.crashes = server_.crashes();
    verdict.injected = injected_ + network_.injected() + server_.injected();
    verdict.fingerprint = checker_.fingerprint();
    for (const auto& worker : workers_) verdict.jobs += worker->finished();
    return verdict;
  }

 private:
  conductor::Options choose_options() {
    conductor::Options options;
    options.open_runs_max = rng_.chance(0.2) ? 6 : 60;
    options.snapshot_every = rng_.chance(0.7) ? 5 : 200;
    options.embedded_worker = "worker0";
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
                                                    network_, server_, checker_, rng_.next()));
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
      server_.crash();
      // The worker in the server's process goes with it.
      workers_.front()->crash();
    });
    repeat(faults_.pause_every, [this] { server_.pause(some_time(40'000)); });
    repeat(faults_.drain_every, [this] { server_.drain(); });
    repeat(faults_.clock_jump_every, [this] { server_.jump_clock(some_time(120'000)); });
    repeat(faults_.worker_crash_every, [this] { some_worker().crash(); });
    repeat(faults_.worker_pause_every, [this] { some_worker().pause(some_time(40'000)); });
    repeat(faults_.partition_every, [this] {
      const bool worker = rng_.chance(0.7);
      const std::string peer =
          worker ? some_worker().name() : clients_[rng_.below(clients_.size())]->name();
      network_.cut(peer);
      timeline_.after(some_time(60'000), [this, peer] { network_.mend(peer); });
    });
  }

  void settle() {
    settling_ = true;
    server_.calm();
    network_.calm();
    for (const auto& worker : workers_) worker->calm();
    for (const auto& client : clients_) client->wind_down();
    timeline_.after(2 * kInspectEvery, [this] { inspect(); });
  }

  void inspect() {
    if (const auto now = server_.up()) checker_.overdue(*now);
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
  ServerNode server_;
  std::vector<std::unique_ptr<WorkerNode>> workers_;
  std::vector<std::unique_ptr<ClientNode>> clients_;
  std::int64_t injected_ = 0;  // by inject()
  bool settling_ = false;
};
}  // namespace

Verdict simulate(std::uint64_t seed, std::string_view profile,
                 const std::function<void(const std::string&)>& trace) {
  Rng rng(seed);
  const Faults faults = *choose_faults(profile, rng);
  World world(rng.next(), faults, trace);
  Verdict verdict = world.run();
  verdict.faults = describe(faults);
  return verdict;
}

}  // namespace mc::sim
