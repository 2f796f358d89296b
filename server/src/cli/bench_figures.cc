#include "cli/bench_figures.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/json.h"

namespace mc::cli {
namespace {
using Clock = std::chrono::steady_clock;
constexpr int kThroughputJobs = 20'000;  // B1's 100,000 in shape; the rate does not depend on it
constexpr int kChain = 40;
constexpr int kChains = 25;
constexpr int kAccepts = 2'000;
constexpr int kTasksAtOnce = 64;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

Figure summary(std::string bench, std::string metric, std::string unit,
               std::vector<double> values) {
  Figure figure{std::move(bench), std::move(metric), std::move(unit)};
  figure.median = median_of(values);
  figure.min = *std::min_element(values.begin(), values.end());
  figure.max = *std::max_element(values.begin(), values.end());
  figure.runs = static_cast<int>(values.size());
  return figure;
}

std::vector<TaskResult> all_succeeded(const std::vector<Task>& tasks) {
  std::vector<TaskResult> results;
  for (const Task& task : tasks) {
    TaskResult& result = results.emplace_back();
    result.task_id = task.task_id;
    result.fence = task.fence;
  }
  return results;
}

Result<std::string> register_worker(client::WorkerApi& api) {
  const auto reply = api.register_worker({"bench", {"bench"}, kTasksAtOnce, "bench"});
  if (!reply.ok()) return reply.error();
  return reply->worker_id;
}

std::string chain_of_jobs() {
  std::string text = "jobs:\n";
  for (int i = 0; i < kChain; ++i) {
    const std::string needs = i == 0 ? "" : "needs: j" + std::to_string(i - 1) + ", ";
    text += fmt::format("  j{}: {{{}runs_on: [bench], steps: [{{uses: noop}}]}}\n", i, needs);
  }
  return text;
}

// One worker thread of B1: takes and completes until `left` is 0.
void work(const BenchServer& server, std::atomic<int>& left, std::atomic<bool>& bad) {
  const auto api = server.worker();
  const Result<std::string> id = register_worker(*api);
  std::vector<Task> tasks;
  while (left > 0 && !bad) {
    if (!id.ok()) bad = true;
    if (bad) return;
    if (tasks.empty()) {
      Result<std::vector<Task>> polled = api->poll({*id, kTasksAtOnce, 200}, nullptr);
      if (!polled.ok()) bad = true;
      if (polled.ok()) tasks = std::move(*polled);
      continue;
    }
    const int done = static_cast<int>(tasks.size());
    Result<wire::CompleteReply> reply = api->complete({*id, all_succeeded(tasks), kTasksAtOnce});
    if (!reply.ok() || !reply->rejected.empty()) bad = true;
    if (reply.ok()) tasks = std::move(reply->tasks);
    left -= done;
  }
}
}  // namespace

double append_rate(const std::string& folder, int rows, int batch) {
  const std::string path = folder + "/append";
  Fd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600));
  const std::string bytes(static_cast<std::size_t>(batch) * 256, 'x');
  const auto began = Clock::now();
  for (int i = 0; i < rows; i += batch) {
    if (!write_all(file.get(), bytes).ok() || ::fdatasync(file.get()) != 0) return 0;
  }
  return rows / seconds_since(began);
}

bool store_workflow(client::Transport& transport, const std::string& name,
                    const std::string& text) {
  client::Call call{.method = "PUT", .path = "/api/v1/workflows/" + name, .body = text};
  call.content_type = "application/yaml";
  const auto answer = transport.send(call);
  return answer.ok() && (answer->status == 201 || answer->status == 200);
}

bool start_runs(client::Transport& transport, const std::string& name, int count) {
  const std::string body = to_json(Value(Object{{"workflow", Value(name)}}));
  for (int i = 0; i < count; ++i) {
    const auto answer = transport.send({.method = "POST", .path = "/api/v1/runs", .body = body});
    if (!answer.ok() || answer->status != 201) return false;
  }
  return true;
}

std::string ten_jobs() {
  std::string text = "jobs:\n  first: {runs_on: [bench], steps: [{uses: noop}]}\n";
  std::string needs;
  for (int i = 0; i < 8; ++i) {
    text += fmt::format("  m{}: {{needs: first, runs_on: [bench], steps: [{{uses: noop}}]}}\n", i);
    needs += (i == 0 ? "m" : ", m") + std::to_string(i);
  }
  return text + "  last: {needs: [" + needs + "], runs_on: [bench], steps: [{uses: noop}]}\n";
}

double work_off(const BenchServer& server, int jobs) {
  const auto transport = server.connect();
  if (!store_workflow(*transport, "ten", ten_jobs())) return 0;
  std::atomic<int> left = jobs;
  std::atomic<bool> bad = false;
  const auto began = Clock::now();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&] { work(server, left, bad); });
  constexpr int kSubmitters = 8;
  for (int i = 0; i < kSubmitters; ++i) {
    threads.emplace_back([&] {
      const auto own = server.connect();
      if (!start_runs(*own, "ten", jobs / 10 / kSubmitters)) bad = true;
    });
  }
  threads.clear();
  return bad ? 0 : seconds_since(began);
}

std::vector<Figure> bench_throughput(const BenchServer& server) {
  std::vector<double> rates;
  for (int i = 0; i < 3; ++i) {
    const double seconds = work_off(server, kThroughputJobs);
    if (seconds == 0) return {};
    rates.push_back(kThroughputJobs / seconds);
  }
  Figure figure = summary("b1", "durable_jobs", "jobs/s", rates);
  figure.reference = append_rate(server.folder(), 20'000, 100);
  return {figure};
}

std::vector<Figure> bench_step_latency(const BenchServer& server) {
  const auto transport = server.connect();
  const auto api = server.worker();
  const Result<std::string> id = register_worker(*api);
  if (!id.ok() || !store_workflow(*transport, "chain", chain_of_jobs())) return {};
  std::vector<double> steps;
  for (int i = 0; i < kChains; ++i) {
    if (!start_runs(*transport, "chain", 1)) return {};
    Result<std::vector<Task>> tasks = api->poll({*id, 1, 5'000}, nullptr);
    for (int step = 0; step < kChain; ++step) {
      if (!tasks.ok() || tasks->size() != 1) return {};
      const auto began = Clock::now();
      Result<wire::CompleteReply> reply = api->complete({*id, all_succeeded(*tasks), 1});
      if (!reply.ok()) return {};
      if (step > 0) steps.push_back(seconds_since(began) * 1000);
      *tasks = std::move(reply->tasks);
    }
  }
  std::vector<double> sorted = steps;
  std::sort(sorted.begin(), sorted.end());
  Figure median = summary("b3", "step_p50", "ms", steps);
  median.reference = 2000 / append_rate(server.folder(), 500, 1);
  Figure tail = median;
  tail.metric = "step_p99";
  tail.median = sorted[sorted.size() * 99 / 100];
  tail.reference = 0;
  return {median, tail};
}

std::vector<Figure> bench_accept(const BenchServer& server) {
  const auto transport = server.connect();
  if (!store_workflow(*transport, "ten", ten_jobs())) return {};
  std::vector<double> single;
  for (int i = 0; i < kAccepts / 4; ++i) {
    const auto began = Clock::now();
    if (!start_runs(*transport, "ten", 1)) return {};
    single.push_back(seconds_since(began) * 1000);
  }
  constexpr int kConnections = 64;
  std::atomic<bool> bad = false;
  const auto began = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kConnections; ++i) {
      threads.emplace_back([&] {
        const auto own = server.connect();
        if (!start_runs(*own, "ten", kAccepts / kConnections)) bad = true;
      });
    }
  }
  if (bad) return {};
  const double rate = kAccepts / kConnections * kConnections / seconds_since(began);
  Figure many = summary("b5", "accept_64_connections", "req/s", {rate});
  many.reference = append_rate(server.folder(), 64 * 500, 64);
  return {summary("b5", "accept_1_connection_p50", "ms", single), many};
}

std::vector<Figure> bench_footprint(const BenchServer& server) {
  constexpr double kMiB = 1024 * 1024;
  const auto mib = [&] { return static_cast<double>(server.resident_bytes()) / kMiB; };
  const double idle = mib();
  const double cpu = server.cpu_seconds();
  const auto began = Clock::now();
  std::this_thread::sleep_for(std::chrono::seconds(3));  // tidy: allow banned: idleness is measured
  const double busy = (server.cpu_seconds() - cpu) / seconds_since(began) * 100;
  std::vector<double> starts = {server.start_ms()};
  for (int i = 0; i < 4; ++i) {
    const auto again = BenchServer::start();
    if (!again.ok()) return {};
    starts.push_back((*again)->start_ms());
  }
  if (work_off(server, kThroughputJobs) == 0) return {};
  std::error_code ignored;
  const auto size = static_cast<double>(std::filesystem::file_size("/proc/self/exe", ignored));
  return {summary("b7", "start_to_ready", "ms", starts), summary("b7", "rss_idle", "MiB", {idle}),
          summary("b7", "cpu_idle", "%", {busy}), summary("b7", "rss_after_load", "MiB", {mib()}),
          summary("b7", "binary", "MiB", {size / kMiB})};
}
}  // namespace mc::cli
