// B9: does it stay as fast when runs are large, many are stored, many are waiting? The reference of
// each figure is the same at the smallest size: a ratio of 1 is flat.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/json.h"
#include "bench/benchmarks.h"
#include "bench/database.h"
#include "bench/seed.h"
#include "bench/work.h"

namespace mc::bench {
namespace {
constexpr int kJobs = 20'000;  // worked off at each size of run
constexpr int kRounds = 3;
constexpr int kReads = 2'000;
constexpr int kAccepts = 5'000;
constexpr int kDecisions = 100;
constexpr int kWorked = 1'000;  // runs of ten jobs

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

std::string size_text(int size) {
  if (size >= 1'000'000) return fmt::format("{}m", size / 1'000'000);
  return size >= 1'000 ? fmt::format("{}k", size / 1'000) : std::to_string(size);
}

// Figures of one kind at growing sizes; the first one is the reference of all.
void add_series(std::vector<Figure>& to, const std::string& metric, const std::string& unit,
                const std::vector<int>& sizes, const std::vector<std::vector<double>>& values) {
  const double reference = median_of(values.front());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    to.push_back(figure_of("b9", metric + "_" + size_text(sizes[i]), unit, values[i], reference));
  }
}

Status measure_large_runs(std::vector<Figure>& figures) {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  const std::vector<int> sizes = {100, 1'000, 10'000};
  std::vector<std::vector<double>> costs(sizes.size());
  for (const int size : sizes) {
    const Status stored =
        store_workflow(**server, "fan" + std::to_string(size), fan_of_jobs(size - 2));
    if (!stored) return stored;
  }
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const Result<double> seconds = start_and_work_off(**server, "fan" + std::to_string(sizes[i]),
                                                        kJobs / sizes[i], sizes[i]);
      if (!seconds.ok()) return seconds.error();
      costs[i].push_back(*seconds / kJobs * 1e6);
    }
  }
  add_series(figures, "job_cost_in_run_of", "us/job", sizes, costs);
  return {};
}

// What readers and submitters see with a number of runs stored.
struct Sight {
  std::vector<std::vector<double>> list, filtered, detail, accept;
};

Status read_all(const ServerProcess& server, const std::vector<Uuid>& ids, Sight& sight) {
  const std::string& token = server.token();
  const auto read = [&](const std::function<std::string(int)>& path,
                        std::vector<std::vector<double>>& into) -> Status {
    Result<Load> load =
        run_load({.ports = {server.port()}, .requests = kReads, .request = [&](int i) {
                    return get_request(path(i), token);
                  }});
    if (!load.ok()) return load.error();
    into.push_back(std::move(load->ms));
    return {};
  };
  Status seen = read([](int) { return "/api/v1/runs?limit=50"; }, sight.list);
  if (seen) {
    seen = read([](int) { return "/api/v1/runs?limit=50&q=status:failed+workflow:ten"; },
                sight.filtered);
  }
  if (seen) {
    seen = read(
        [&ids](int i) {
          const std::size_t at = static_cast<std::size_t>(i) * 7919 % ids.size();
          return "/api/v1/runs/" + to_string(ids[at]);
        },
        sight.detail);
  }
  return seen;
}

Status measure_stored_runs(std::vector<Figure>& figures) {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  if (const Status stored = store_workflow(**server, "ten", ten_jobs()); !stored) return stored;
  if (const auto done = start_and_work_off(**server, "ten", 1, 10); !done.ok()) return done.error();
  const std::vector<int> sizes = {1'000, 100'000, 1'000'000};
  Sight sight;
  std::vector<Uuid> ids;
  std::vector<std::vector<double>> dispatch, ready;
  for (const int size : sizes) {
    (*server)->stop();
    if (const Status seeded = seed_finished_runs((*server)->data(), size, ids); !seeded)
      return seeded;
    if (const Status again = (*server)->start_again(); !again) return again;
    if (const Status seen = read_all(**server, ids, sight); !seen) return seen;
    const Result<Load> accepted = start_runs(**server, "ten", kAccepts, 64);
    if (!accepted.ok()) return accepted.error();
    sight.accept.push_back({1e6 / accepted->rate()});
    const auto began = Clock::now();
    if (const Status worked = work_off(**server, kAccepts * 10); !worked) return worked;
    dispatch.push_back({1e6 * seconds_since(began) / (kAccepts * 10)});
    (*server)->kill();
    if (const Status again = (*server)->start_again(); !again) return again;
    ready.push_back({(*server)->start_ms()});
  }
  add_series(figures, "list_p50_stored", "ms", sizes, sight.list);
  add_series(figures, "filtered_list_p50_stored", "ms", sizes, sight.filtered);
  add_series(figures, "detail_p50_stored", "ms", sizes, sight.detail);
  add_series(figures, "accept_cost_stored", "us/run", sizes, sight.accept);
  add_series(figures, "dispatch_cost_stored", "us/job", sizes, dispatch);
  add_series(figures, "ready_after_kill_stored", "ms", sizes, ready);
  return {};
}

// How long it takes to give each of the oldest approvals that wait.
Result<std::vector<double>> decide_oldest(const ServerProcess& server) {
  const auto answer = server.connect()->send({.path = "/api/v1/approvals?status=waiting"});
  if (!answer.ok()) return answer.error();
  const Result<Value> body = parse_json(answer->body);
  const Value* items = body.ok() ? body->find("items") : nullptr;
  if (items == nullptr || !items->is_list() || items->as_list().empty())
    return Error{Code::unavailable, "bench: no approval waits", {}};
  const List& waiting = items->as_list();
  Result<Load> load =
      run_load({.ports = {server.port()},
                .requests = std::min(kDecisions, static_cast<int>(waiting.size())),
                .request = [&](int i) {
                  const Value& item = waiting[static_cast<std::size_t>(i)];
                  return post_request("/api/v1/approvals/" + item.string_or("id", ""),
                                      server.token(), "{\"decision\":\"approve\"}");
                }});
  if (!load.ok()) return load.error();
  return std::move(load->ms);
}

Status measure_waiting_runs(std::vector<Figure>& figures) {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  Status stored = store_workflow(**server, "ask", "jobs: {ask: {approve: {prompt: Well?}}}\n");
  if (stored) stored = store_workflow(**server, "ten", ten_jobs());
  if (stored) stored = store_workflow(**server, "later", "jobs: {later: {wait: 24h}}\n");
  if (!stored) return stored;
  const std::vector<int> sizes = {10, 1'000, 100'000};
  std::vector<std::vector<double>> accepts;
  std::vector<std::vector<double>> decisions, dispatch, ready;
  int waiting = 0;
  for (const int size : sizes) {
    for (const char* name : {"ask", "later"}) {
      const Result<Load> begun = start_runs(**server, name, (size - waiting) / 2, 32);
      if (!begun.ok()) return begun.error();
    }
    waiting = size;
    Result<Load> accepted = start_runs(**server, "later", kReads / 4, 1);
    if (!accepted.ok()) return accepted.error();
    accepts.push_back(std::move(accepted->ms));
    Result<std::vector<double>> decided = decide_oldest(**server);
    if (!decided.ok()) return decided.error();
    decisions.push_back(std::move(*decided));
    const Result<double> worked = start_and_work_off(**server, "ten", kWorked, 10);
    if (!worked.ok()) return worked.error();
    dispatch.push_back({1e6 * *worked / (kWorked * 10)});
    (*server)->kill();
    if (const Status again = (*server)->start_again(); !again) return again;
    ready.push_back({(*server)->start_ms()});
  }
  add_series(figures, "accept_p50_waiting", "ms", sizes, accepts);
  add_series(figures, "decide_p50_waiting", "ms", sizes, decisions);
  add_series(figures, "dispatch_cost_waiting", "us/job", sizes, dispatch);
  add_series(figures, "ready_after_kill_waiting", "ms", sizes, ready);
  return {};
}
}  // namespace

Figures growth() {
  std::vector<Figure> figures;
  const std::pair<const char*, Status (*)(std::vector<Figure>&)> parts[] = {
      {"b9_large", measure_large_runs},
      {"b9_stored", measure_stored_runs},
      {"b9_waiting", measure_waiting_runs}};
  for (const auto& [name, measure] : parts) {
    if (const Status apart = move_to_schema(name); !apart) return apart.error();
    if (const Status measured = measure(figures); !measured) return measured.error();
  }
  return figures;
}

}  // namespace mc::bench
