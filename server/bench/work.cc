#include "bench/work.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "base/json.h"
#include "db/shard.h"

namespace mc::bench {
namespace {
using Clock = std::chrono::steady_clock;
constexpr int kHands = 2;
constexpr int kSlots = 128;
constexpr std::string_view kNoop = "runs_on: [bench], steps: [{uses: noop}]";

Error failed(const std::string& what) { return Error{Code::unavailable, "bench: " + what, {}}; }

// What several hands share while they work off a number of jobs.
struct Crew {
  std::atomic<int> left;
  std::mutex mutex;  // guards what follows
  Status trouble;
  Clock::time_point first;

  void give_up(const Status& why) {
    const std::scoped_lock lock(mutex);
    if (trouble.ok()) trouble = why;
    left = 0;
  }
};

Status work(Hand& hand, Crew& crew) {
  constexpr int kWaitMs = 200;
  while (crew.left > 0) {
    if (hand.tasks().empty()) {
      if (const Status polled = hand.poll(kWaitMs); !polled) return polled;
      continue;
    }
    const int done = static_cast<int>(hand.tasks().size());
    if (const Status completed = hand.complete(); !completed) return completed;
    {
      const std::scoped_lock lock(crew.mutex);
      if (crew.first == Clock::time_point{}) crew.first = Clock::now();
    }
    crew.left -= done;
  }
  return {};
}
}  // namespace

std::string one_job() { return fmt::format("jobs:\n  only: {{{}}}\n", kNoop); }

std::string ten_jobs() { return fan_of_jobs(8); }

std::string chain_of_jobs(int length) {
  std::string text = "jobs:\n";
  for (int i = 0; i < length; ++i) {
    const std::string needs = i == 0 ? "" : fmt::format("needs: j{}, ", i - 1);
    text += fmt::format("  j{}: {{{}{}}}\n", i, needs, kNoop);
  }
  return text;
}

std::string fan_of_jobs(int width) {
  std::string text = fmt::format("jobs:\n  first: {{{}}}\n", kNoop);
  std::string needs;
  for (int i = 0; i < width; ++i) {
    text += fmt::format("  m{}: {{needs: first, {}}}\n", i, kNoop);
    needs += fmt::format("{}m{}", i == 0 ? "" : ", ", i);
  }
  return text + fmt::format("  last: {{needs: [{}], {}}}\n", needs, kNoop);
}

Status store_workflow(const ServerProcess& server, const std::string& name, const std::string& text,
                      const std::vector<std::string>& tokens) {
  client::Call call{.method = "PUT", .path = "/api/v1/workflows/" + name, .body = text};
  call.content_type = "application/yaml";
  for (const std::string& token : tokens.empty() ? std::vector{server.token()} : tokens) {
    const auto answer = server.connect_as(token)->send(call);
    if (!answer.ok()) return answer.error();
    if (answer->status != 201 && answer->status != 200) return failed(answer->body);
  }
  return {};
}

Result<std::vector<std::string>> make_projects(const ServerProcess& server, int count) {
  std::vector<std::string> tokens;
  std::set<int> taken;
  for (int i = 0; static_cast<int>(tokens.size()) < count; ++i) {
    const std::string project = "project-" + std::to_string(i);
    if (!taken.insert(db::shard_of(project, count)).second) continue;
    const std::string body = to_json(Value(
        Object{{"name", Value(project)}, {"role", Value("admin")}, {"project", Value(project)}}));
    const auto answer =
        server.connect()->send({.method = "POST", .path = "/api/v1/tokens", .body = body});
    if (!answer.ok()) return answer.error();
    const Result<Value> made = parse_json(answer->body);
    if (answer->status != 201 || !made.ok()) return failed(answer->body);
    tokens.push_back(made->string_or("token", ""));
  }
  return tokens;
}

Result<Load> start_runs(const ServerProcess& server, const std::string& name, int count,
                        int connections, std::optional<int> door,
                        const std::vector<std::string>& tokens) {
  const std::string body = to_json(Value(Object{{"workflow", Value(name)}}));
  std::vector<std::string> requests;
  for (const std::string& token : tokens.empty() ? std::vector{server.token()} : tokens)
    requests.push_back(post_request("/api/v1/runs", token, body));
  std::vector<int> ports;
  for (int i = 0; i < server.doors(); ++i) {
    if (!door || *door == i) ports.push_back(server.port(i));
  }
  return run_load(
      {.ports = std::move(ports),
       .connections = connections,
       .requests = count,
       .request = [&](int i) { return requests[static_cast<std::size_t>(i) % requests.size()]; },
       .status = 201});
}

Result<std::string> start_run(client::Transport& transport, const std::string& name) {
  const std::string body = to_json(Value(Object{{"workflow", Value(name)}}));
  const auto answer = transport.send({.method = "POST", .path = "/api/v1/runs", .body = body});
  if (!answer.ok()) return answer.error();
  const Result<Value> run = parse_json(answer->body);
  if (answer->status != 201 || !run.ok()) return failed(answer->body);
  return run->string_or("id", "");
}

Result<Hand> Hand::hire(const ServerProcess& server, int slots, int door) {
  std::unique_ptr<client::WorkerApi> api = server.worker(door);
  const auto reply = api->register_worker({"bench", {"bench"}, slots, "bench"});
  if (!reply.ok()) return reply.error();
  return Hand(std::move(api), reply->worker_id, slots);
}

Status Hand::poll(int wait_ms) {
  Result<std::vector<Task>> polled = api_->poll({id_, slots_, wait_ms}, {});
  if (!polled.ok()) return polled.error();
  tasks_ = std::move(*polled);
  return {};
}

Status Hand::complete() {
  wire::CompleteRequest request{id_, {}, slots_};
  request.results.reserve(tasks_.size());
  for (const Task& task : tasks_) {
    TaskResult& result = request.results.emplace_back();
    result.task_id = task.task_id;
    result.fence = task.fence;
  }
  Result<wire::CompleteReply> reply = api_->complete(request);
  if (!reply.ok()) return reply.error();
  if (!reply->rejected.empty()) return failed("a result was rejected: " + reply->rejected[0].code);
  tasks_ = std::move(reply->tasks);
  return {};
}

namespace {
Status work_off(const ServerProcess& server, Crew& crew) {
  std::vector<std::jthread> threads;
  for (int i = 0; i < kHands; ++i) {
    threads.emplace_back([&server, &crew, i] {
      Result<Hand> hand = Hand::hire(server, kSlots, i);
      const Status worked = hand.ok() ? work(*hand, crew) : Status(hand.error());
      if (!worked) crew.give_up(worked);
    });
  }
  threads.clear();
  return crew.trouble;
}
}  // namespace

Status work_off(const ServerProcess& server, int jobs, double* first_ms) {
  Crew crew{.left = jobs, .mutex = {}, .trouble = {}, .first = {}};
  const auto began = Clock::now();
  const Status worked = work_off(server, crew);
  if (first_ms != nullptr)
    *first_ms = std::chrono::duration<double, std::milli>(crew.first - began).count();
  return worked;
}

Result<double> start_and_work_off(const ServerProcess& server, const std::string& name, int runs,
                                  int jobs_each, int connections,
                                  const std::vector<std::string>& tokens) {
  const auto began = Clock::now();
  Status worked;
  Crew crew{.left = runs * jobs_each, .mutex = {}, .trouble = {}, .first = {}};
  std::jthread work([&] { worked = work_off(server, crew); });
  const Result<Load> started = start_runs(server, name, runs, connections, {}, tokens);
  if (!started.ok()) {
    crew.give_up(started.error());  // what was not started is never done
    return started.error();
  }
  work.join();
  if (!worked) return worked.error();
  return std::chrono::duration<double>(Clock::now() - began).count();
}

}  // namespace mc::bench
