// B3: step latency. B4: fan-out and join. B5: durable accept.
#include <chrono>

#include "bench/benchmarks.h"
#include "bench/work.h"

namespace mc::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr int kChain = 40;
constexpr int kChains = 50;
constexpr int kWidth = 100;
constexpr int kFans = 40;
constexpr int kSingleAccepts = 2'000;
constexpr int kAccepts = 20'000;
constexpr int kConnections = 64;
constexpr int kRounds = 3;
constexpr int kPatientMs = 5'000;

double ms_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

Error failed(const std::string& what) { return Error{Code::unavailable, "bench: " + what, {}}; }

// One at each door; they are to take turns, so that each door has its share of the figure.
Result<std::vector<Hand>> hire_at_each_door(const ServerProcess& server, int slots) {
  std::vector<Hand> hands;
  for (int door = 0; door < server.doors(); ++door) {
    Result<Hand> hand = Hand::hire(server, slots, door);
    if (!hand.ok()) return hand.error();
    hands.push_back(std::move(*hand));
  }
  return hands;
}

Result<Load> accept_one_by_one(const ServerProcess& server) {
  Load all;
  for (int door = 0; door < server.doors(); ++door) {
    const Result<Load> load = start_runs(server, "ten", kSingleAccepts / server.doors(), 1, door);
    if (!load.ok()) return load.error();
    all.seconds += load->seconds;
    all.ms.insert(all.ms.end(), load->ms.begin(), load->ms.end());
  }
  return all;
}

// One run of a chain: how long each step took, from the report of one job to having the next.
Status walk_chain(Hand& hand, client::Transport& transport, std::vector<double>& steps) {
  const Result<std::string> run = start_run(transport, "chain");
  if (!run.ok()) return run.error();
  if (const Status polled = hand.poll(kPatientMs); !polled) return polled;
  for (int step = 0; step < kChain; ++step) {
    if (hand.tasks().size() != 1) return failed("the chain has stopped");
    const auto began = Clock::now();
    if (const Status completed = hand.complete(); !completed) return completed;
    if (step > 0) steps.push_back(ms_since(began));
  }
  return {};
}

// One run of 1 → 100 → 1: from the request to the last durable completion.
Result<double> fan_once(Hand& hand, client::Transport& transport) {
  const auto began = Clock::now();
  const Result<std::string> run = start_run(transport, "fan");
  if (!run.ok()) return run.error();
  int done = 0;
  while (done < kWidth + 2) {
    if (hand.tasks().empty()) {
      if (const Status polled = hand.poll(kPatientMs); !polled) return polled.error();
      if (hand.tasks().empty()) return failed("no job came");
    }
    done += static_cast<int>(hand.tasks().size());
    if (const Status completed = hand.complete(); !completed) return completed.error();
  }
  return ms_since(began);
}
}  // namespace

Figures step_latency() {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  if (const Status stored = store_workflow(**server, "chain", chain_of_jobs(kChain)); !stored)
    return stored.error();
  Result<std::vector<Hand>> hands = hire_at_each_door(**server, 1);
  if (!hands.ok()) return hands.error();
  const auto transport = (*server)->connect();
  std::vector<double> steps;
  std::vector<double> syncs;
  for (int i = 0; i < kChains; ++i) {
    if (i % (kChains / kRounds) == 0) syncs.push_back(2 * sync_ms((*server)->folder()));
    Hand& hand = (*hands)[static_cast<std::size_t>(i) % hands->size()];
    if (const Status walked = walk_chain(hand, *transport, steps); !walked) return walked.error();
  }
  const double reference = median_of(syncs);
  Figure tail = figure_of("b3", "step_p99", "ms", steps);
  tail.value = quantile_of(steps, 0.99);
  return std::vector<Figure>{figure_of("b3", "step_p50", "ms", steps, reference), tail};
}

Figures fan_out() {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  if (const Status stored = store_workflow(**server, "fan", fan_of_jobs(kWidth)); !stored)
    return stored.error();
  Result<std::vector<Hand>> hands = hire_at_each_door(**server, kWidth);
  if (!hands.ok()) return hands.error();
  const auto transport = (*server)->connect();
  std::vector<double> totals;
  for (int i = 0; i < kFans; ++i) {
    Hand& hand = (*hands)[static_cast<std::size_t>(i) % hands->size()];
    const Result<double> ms = fan_once(hand, *transport);
    if (!ms.ok()) return ms.error();
    totals.push_back(*ms);
  }
  const double reference = 4 * sync_ms((*server)->folder());
  return std::vector<Figure>{figure_of("b4", "fan_of_100", "ms", totals, reference)};
}

Figures accept() {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  if (const Status stored = store_workflow(**server, "ten", ten_jobs()); !stored)
    return stored.error();
  const Result<Load> single = accept_one_by_one(**server);
  if (!single.ok()) return single.error();
  Figure single_tail = figure_of("b5", "accept_1_connection_p99", "ms", single->ms);
  single_tail.value = quantile_of(single->ms, 0.99);
  std::vector<double> rates;
  std::vector<double> waits;
  std::vector<double> references;
  for (int i = 0; i < kRounds; ++i) {
    references.push_back(append_rate((*server)->folder(), 64 * 500, kConnections));
    const Result<Load> many = start_runs(**server, "ten", kAccepts, kConnections);
    if (!many.ok()) return many.error();
    rates.push_back(many->rate());
    waits.insert(waits.end(), many->ms.begin(), many->ms.end());
  }
  Figure tail = figure_of("b5", "accept_64_connections_p99", "ms", waits);
  tail.value = quantile_of(waits, 0.99);
  return std::vector<Figure>{
      figure_of("b5", "accept_1_connection_p50", "ms", single->ms, sync_ms((*server)->folder())),
      single_tail,
      figure_of("b5", "accept_1_connection", "req/s", {single->rate()}),
      figure_of("b5", "accept_64_connections", "req/s", rates, median_of(references)),
      figure_of("b5", "accept_64_connections_p50", "ms", waits),
      tail};
}

}  // namespace mc::bench
