// B12: log streaming.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "bench/benchmarks.h"
#include "bench/work.h"

namespace mc::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr std::int64_t kBytes = 1'000'000'000;
constexpr std::size_t kChunkBytes = 64 << 10;  // as the worker sends them:
constexpr int kChunks = 8;                     // 512 KiB a request
constexpr int kPrinted = 240'000'000;          // below the most that one attempt may log
constexpr int kPrinters = 200;
constexpr int kFollowed = 20;
constexpr int kLines = 20;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

Error failed(const std::string& what) { return Error{Code::unavailable, "bench: " + what, {}}; }

// Lines as a build prints them.
std::string log_text(std::size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i) {
    text += fmt::format("[{:5}/4711] Building CXX object src/part{}/CMakeFiles/part.dir/a.cc.o\n",
                        i, i % 97);
  }
  text.resize(bytes);
  return text;
}

// One stream of the worker protocol into the server's disk.
Result<double> ingest_rate(const ServerProcess& server) {
  if (const Status stored = store_workflow(server, "one", one_job()); !stored)
    return stored.error();
  if (const auto run = start_run(*server.connect(), "one"); !run.ok()) return run.error();
  Result<Hand> hand = Hand::hire(server, 1);
  if (!hand.ok()) return hand.error();
  if (const Status polled = hand->poll(5'000); !polled) return polled.error();
  if (hand->tasks().empty()) return failed("no job came");
  const Task& task = hand->tasks().front();
  wire::LogsRequest request{.worker_id = hand->id(), .task_id = task.task_id, .fence = task.fence};
  const std::string text = log_text(kChunkBytes);
  for (int i = 0; i < kChunks; ++i)
    request.chunks.push_back({system_clock().now().ms, "s1", "stdout", text});
  const auto began = Clock::now();
  auto beaten = began;
  while (request.offset < kBytes) {
    const Result<std::int64_t> end = hand->api().logs(request);
    if (!end.ok()) return end.error();
    request.offset = *end;
    if (seconds_since(beaten) < 2) continue;
    const auto beat = hand->api().heartbeat({hand->id(), {{task.task_id, task.fence}}}, {});
    if (!beat.ok()) return beat.error();
    beaten = Clock::now();
  }
  const double rate = static_cast<double>(request.offset) / 1e6 / seconds_since(began);
  if (const Status done = hand->complete(); !done) return done.error();
  return rate;
}

// A job of the worker inside the server that prints as fast as it can.
Result<double> job_rate(const ServerProcess& server) {
  const std::string text =
      fmt::format("jobs: {{print: {{steps: [{{run: yes {} | head -c {} || true}}]}}}}\n",
                  std::string(99, 'x'), kPrinted);
  if (const Status stored = store_workflow(server, "print", text); !stored) return stored.error();
  const auto transport = server.connect();
  const auto began = Clock::now();
  const Result<std::string> run = start_run(*transport, "print");
  if (!run.ok()) return run.error();
  const auto answer =
      transport->send({.path = "/api/v1/runs/" + *run + "?wait=60s", .timeout = Millis(90'000)});
  if (!answer.ok()) return answer.error();
  const Result<Value> shown = parse_json(answer->body);
  if (!shown.ok() || shown->string_or("status", "") != "succeeded") return failed(answer->body);
  return kPrinted / 1e6 / seconds_since(began);
}

// Jobs that print the time every 200 ms, without a process of its own for the pause.
std::string printers() {
  std::string text = "jobs:\n";
  for (int i = 0; i < kPrinters; ++i) {
    text += fmt::format(
        "  p{}:\n    steps:\n      - shell: bash\n        run: |\n          exec 9<> <(:)\n"
        "          for i in {{1..{}}}; do echo \"at $EPOCHREALTIME\"; read -t 0.2 -u 9 || :; "
        "done\n",
        i, kLines);
  }
  return text;
}

// Collects how late each line "at SECONDS.MICROS" arrives.
class Arrivals {
 public:
  explicit Arrivals(std::vector<double>& into, std::mutex& mutex) : into_(into), mutex_(mutex) {}
  void take(std::string_view piece) {
    const std::int64_t now = system_clock().now().ms;
    rest_ += piece;
    std::size_t from = 0;
    for (std::size_t at = 0; (at = rest_.find("at 1", from)) != std::string::npos;) {
      // "at 1732576297.123456": what comes cut in half is looked at again with the next piece.
      if (rest_.size() < at + kStampBytes) break;
      const auto ms = read_stamp(std::string_view(rest_).substr(at + 3));
      const std::scoped_lock lock(mutex_);
      if (ms) into_.push_back(static_cast<double>(now - *ms));
      from = at + kStampBytes;
    }
    rest_.erase(0, from);
  }

 private:
  static constexpr std::size_t kStampBytes = sizeof("at 1732576297.123456") - 1;
  static std::optional<std::int64_t> read_stamp(std::string_view text) {
    std::int64_t ms = 0;
    constexpr std::size_t kDigits = 14;  // to the third after the point
    for (std::size_t i = 0; i < kDigits; ++i) {
      if (i == 10) continue;
      if (text[i] < '0' || text[i] > '9') return std::nullopt;
      ms = ms * 10 + (text[i] - '0');
    }
    return ms;
  }
  std::vector<double>& into_;
  std::mutex& mutex_;
  std::string rest_;
};

// From a line's printing to its arrival at a follower, over all lines of the followed jobs.
Result<std::vector<double>> line_delays() {
  auto server = ServerProcess::start(kPrinters);
  if (!server.ok()) return server.error();
  if (const Status stored = store_workflow(**server, "many", printers()); !stored)
    return stored.error();
  const Result<std::string> run = start_run(*(*server)->connect(), "many");
  if (!run.ok()) return run.error();
  std::mutex mutex;
  std::vector<double> delays;
  std::vector<std::jthread> followers;
  for (int i = 0; i < kFollowed; ++i) {
    followers.emplace_back([&, i] {
      Arrivals arrivals(delays, mutex);
      (void)(*server)->connect()->send(
          {.path = fmt::format("/api/v1/runs/{}/jobs/p{}/logs", *run, i * kPrinters / kFollowed),
           .headers = {{"Accept", "text/event-stream"}},
           .timeout = Millis(60'000),
           .on_data = [&arrivals](std::string_view piece) {
             arrivals.take(piece);
             return true;
           }});
    });
  }
  followers.clear();
  if (static_cast<int>(delays.size()) < kFollowed * kLines / 2)
    return failed(fmt::format("only {} lines arrived", delays.size()));
  return delays;
}
}  // namespace

Figures log_stream() {
  auto server = ServerProcess::start();
  if (!server.ok()) return server.error();
  const double reference = pipe_to_disk_rate((*server)->folder(), kBytes);
  const Result<double> ingest = ingest_rate(**server);
  if (!ingest.ok()) return ingest.error();
  const Result<double> job = job_rate(**server);
  if (!job.ok()) return job.error();
  const Result<std::vector<double>> delays = line_delays();
  if (!delays.ok()) return delays.error();
  Figure tail = figure_of("b12", "line_delay_p99", "ms", *delays);
  tail.value = quantile_of(*delays, 0.99);
  return std::vector<Figure>{figure_of("b12", "ingest_one_stream", "MB/s", {*ingest}, reference),
                             figure_of("b12", "job_printing", "MB/s", {*job}, reference),
                             figure_of("b12", "line_delay_p50", "ms", *delays), tail};
}

}  // namespace mc::bench
