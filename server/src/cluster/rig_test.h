// Shards that tests hold in their hands: a call is served, and its answer comes, when the test says
// so. Each shard knows workers and has jobs; it gives a job to whoever asks and has its label.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/rng.h"
#include "cluster/lobby.h"
#include "http/problem.h"
#include "wire/task_codec.h"

namespace mc::cluster {

class HandClock final : public Clock {
 public:
  Instant now() override { return at; }
  Instant at{1'000'000};
};

class FakeShards final : public Shards {
 public:
  struct Job {
    std::string id, label;
    int priority = 0;
    std::string project = "default";
    bool weighs = false;
  };
  struct Shard {
    std::vector<Job> jobs;
    std::map<std::string, std::string> workers;  // id → label
    std::set<std::string> draining;
    bool is_away = false;
    bool is_here = true;
    bool says_next = true;
    bool says_none_after = false;                // with tasks
    std::map<std::string, std::size_t> running;  // by project
  };
  struct Pending {
    int shard = 0;
    http::Request request;
    std::function<void(http::Response)> done;
    bool is_served = false;
    http::Response response;
  };
  explicit FakeShards(int count) : shards(static_cast<std::size_t>(count)) {}

  int count() const override { return static_cast<int>(shards.size()); }
  bool is_here(int shard) const override { return at(shard).is_here; }
  bool may_have_ready(int shard) const override { return !at(shard).jobs.empty(); }
  void call(int shard, http::Request request, std::function<void(http::Response)> done) override {
    ++calls;
    EXPECT_FALSE(request.client_gone()) << "a shard was asked for somebody who is gone";
    const Value body = body_of(request);
    if (is_farewell(request)) {
      left.emplace_back(shard, body.string_or("worker_id", ""));
    } else if (request.path == "/api/v1/worker/poll") {
      const std::string worker = body.string_or("worker_id", "");
      EXPECT_TRUE(polling.insert(worker).second) << worker << " is asked for at two shards at once";
      asked.emplace_back(shard, worker);
    }
    seen.push_back({shard, request, {}, false, {}});
    pending.push_back({shard, std::move(request), std::move(done), false, {}});
    if (at_once) deliver(pending.size() - 1);
  }

  // What the shard does with a call, and the answer's coming.
  void serve(std::size_t i) {
    Pending& call = pending.at(i);
    if (std::exchange(call.is_served, true)) return;
    const auto own = answers.find(call.shard);
    call.response = own != answers.end() ? own->second(call.request) : judge(call);
  }
  void deliver(std::size_t i) {
    serve(i);
    Pending call = std::move(pending.at(i));
    pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
    if (call.request.path == "/api/v1/worker/poll" && !is_farewell(call.request))
      polling.erase(body_of(call.request).string_or("worker_id", ""));
    call.done(std::move(call.response));
  }
  void deliver_all() {
    while (!pending.empty()) deliver(0);
  }
  static Value body_of(const http::Request& request) {
    const auto body = parse_json(request.body);
    return body ? *body : Value(Object{});
  }
  static bool is_farewell(const http::Request& request) {
    const Value body = body_of(request);
    return body.int_or("max", 1) == 0 && body.int_or("parks_ms", -1) == 0;
  }
  Shard& at(int shard) { return shards.at(static_cast<std::size_t>(shard)); }
  const Shard& at(int shard) const { return shards.at(static_cast<std::size_t>(shard)); }
  void add_worker(const std::string& id, const std::string& label = "") {
    for (Shard& shard : shards) shard.workers[id] = label;
  }

  std::vector<Shard> shards;
  std::deque<Pending> pending;
  std::vector<Pending> seen;
  std::set<std::string> polling;
  std::vector<std::pair<int, std::string>> asked;  // polls: shard, worker
  std::vector<std::pair<int, std::string>> left;   // shard, worker that waits no longer
  std::map<int, std::function<http::Response(const http::Request&)>> answers;  // in its place
  std::map<std::string, std::string> given;                                    // job → worker
  std::map<std::string, int> weights;                                          // by project
  bool at_once = false;
  int calls = 0;

 private:
  static std::vector<Job>::iterator next_job(Shard& shard, const std::string& label) {
    auto next = shard.jobs.end();
    for (auto job = shard.jobs.begin(); job != shard.jobs.end(); ++job) {
      if (job->label != label) continue;
      if (next == shard.jobs.end() || job->priority > next->priority) next = job;
    }
    return next;
  }
  std::string say_next(Shard& shard, const std::string& label) const {
    const auto job = next_job(shard, label);
    if (job == shard.jobs.end()) return wire::encode_next(std::nullopt);
    const auto weight = weights.find(job->project);
    const FairShare share{.running = shard.running[job->project],
                          .weight = weight == weights.end() ? 1 : weight->second};
    return wire::encode_next(wire::Offer{job->priority, job->project, share});
  }
  http::Response judge(const Pending& call) {
    Shard& shard = at(call.shard);
    if (shard.is_away) return http::problem({Code::unavailable, "nobody leads", {}}, "");
    const Value body = body_of(call.request);
    const std::string worker = body.string_or("worker_id", "");
    const auto known = shard.workers.find(worker);
    if (known == shard.workers.end())
      return http::problem({Code::worker_not_found, "who is " + worker, {}}, "");
    JsonWriter out;
    out.open('{').key("tasks").open('[');
    const bool drains = shard.draining.contains(worker);
    const std::int64_t priority_min = body.int_or("priority_min", -1'000);
    std::int64_t open = drains ? 0 : body.int_or("max", 1);
    EXPECT_EQ(body.int_or("wait_ms", -1), 0);
    for (; open > 0; --open) {
      const auto job = next_job(shard, known->second);
      if (job == shard.jobs.end() || job->priority < priority_min) break;
      EXPECT_TRUE(given.emplace(job->id, worker).second) << job->id << " is given twice";
      out.open('{').field("task_id", job->id);
      if (job->weighs) out.key("resources").open('{').close('}');
      out.close('}');
      ++shard.running[job->project];
      shard.jobs.erase(job);
    }
    http::Response response{.content_type = "application/json"};
    if (drains) response.headers.push_back({std::string(wire::kDrainingHeader), "1"});
    if (shard.says_next && body.find("wants_next") != nullptr) {
      const bool is_full = shard.says_none_after && body.int_or("max", 1) > open;
      const std::string next = drains || is_full ? "none" : say_next(shard, known->second);
      response.headers.push_back({std::string(wire::kNextHeader), next});
    }
    response.body = out.close(']').close('}').take();
    return response;
  }
};

// Polls over such shards.
struct PollsRig {
  explicit PollsRig(int count, PollOptions with = {}) : shards(count), options(with) {
    polls =
        Polls::make({.shards = shards,
                     .clock = clock,
                     .tell_ready = [this](int shard) { told.push_back(shard); },
                     .note_draining =
                         [this](const std::string& worker, bool drains) {
                           drains ? void(draining.insert(worker)) : void(draining.erase(worker));
                         },
                     .wake_at = [this](Instant at) { wake = at; }},
                    options);
  }
  ~PollsRig() {
    polls->stop();
    shards.deliver_all();
  }
  struct Ended {
    bool is_over = false;
    std::vector<std::string> tasks;
    int status = 200;
  };
  // Begins a poll; `ended` says what came of it.
  std::shared_ptr<Ended> poll(const std::string& worker, int max = 1, Millis wait = Millis(20'000),
                              std::shared_ptr<const std::atomic<bool>> gone = nullptr) {
    auto ended = std::make_shared<Ended>();
    EXPECT_TRUE(polls->add(wish(worker, max, wait, ended, std::move(gone))));
    return ended;
  }
  PollWish wish(const std::string& worker, int max, Millis wait, std::shared_ptr<Ended> ended,
                std::shared_ptr<const std::atomic<bool>> gone = nullptr) {
    PollWish wish{.worker_id = worker,
                  .kind = shards.shards[0].workers[worker],
                  .alike = shards.shards[0].workers[worker],
                  .members = "\"worker_id\":\"" + worker + "\"",
                  .max = max,
                  .wait = wait,
                  .done = [ended, max](PollEnd end) {
                    EXPECT_FALSE(ended->is_over);
                    ended->is_over = true;
                    for (const std::string& task : end.tasks)
                      ended->tasks.push_back(parse_json(task)->string_or("task_id", ""));
                    EXPECT_LE(ended->tasks.size(), static_cast<std::size_t>(max));
                    if (end.refusal) ended->status = end.refusal->status;
                  }};
    wish.head.method = "POST";
    wish.head.gone = std::move(gone);
    return wish;
  }
  void pass(Millis time) {
    clock.at = clock.at + time;
    polls->tick();
  }
  // All that comes of it now, ticks included.
  void deliver_all() {
    shards.deliver_all();
    while (wake && wake <= clock.at) {
      wake = {};
      polls->tick();
      shards.deliver_all();
    }
  }
  void ready(int shard, bool here) {
    polls->ready(shard, here);
    polls->tick();
  }
  void shards_changed() {
    polls->shards_changed();
    polls->tick();
  }
  void add_job(int shard, const std::string& id, const std::string& label = "") {
    shards.at(shard).jobs.push_back({.id = id, .label = label});
  }
  std::size_t count(int shard) const {
    std::size_t times = 0;
    for (const auto& [at, worker] : shards.asked) times += at == shard ? 1 : 0;
    return times;
  }

  HandClock clock;
  FakeShards shards;
  PollOptions options;
  std::vector<int> told;
  std::set<std::string> draining;  // as shards said
  Instant wake;
  std::shared_ptr<Polls> polls;
};

}  // namespace mc::cluster
