// B10: plain requests, beside the smallest server Beast makes.
#include "bench/bare_server.h"
#include "bench/benchmarks.h"
#include "bench/work.h"

namespace mc::bench {
namespace {
constexpr int kConnections = 64;
constexpr int kRequests = 100'000;
constexpr int kRounds = 3;

Result<double> rate_of(int port, const std::string& request) {
  const Result<Load> load = run_load({.ports = {port},
                                      .connections = kConnections,
                                      .requests = kRequests,
                                      .request = [&request](int) { return request; }});
  if (!load.ok()) return load.error();
  return load->rate();
}
}  // namespace

Figures http_floor() {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  if (const Status stored = store_workflow(**server, "ten", ten_jobs()); !stored)
    return stored.error();
  const Result<std::string> run = start_run(*(*server)->connect(), "ten");
  if (!run.ok()) return run.error();
  const BareServer bare;
  const std::string health = get_request("/healthz", "none");
  const std::string shown = get_request("/api/v1/runs/" + *run, (*server)->token());
  std::vector<double> floors;
  std::vector<double> healths;
  std::vector<double> runs;
  for (int i = 0; i < kRounds; ++i) {
    const Result<double> floor = rate_of(bare.port(), health);
    const Result<double> healthy = rate_of((*server)->port(), health);
    const Result<double> read = rate_of((*server)->port(), shown);
    for (const auto* rate : {&floor, &healthy, &read})
      if (!rate->ok()) return rate->error();
    floors.push_back(*floor);
    healths.push_back(*healthy);
    runs.push_back(*read);
  }
  const double reference = median_of(floors);
  return std::vector<Figure>{figure_of("b10", "healthz", "req/s", healths, reference),
                             figure_of("b10", "get_run", "req/s", runs, reference)};
}

}  // namespace mc::bench
