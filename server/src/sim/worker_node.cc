#include "sim/worker_node.h"

#include "base/json.h"
#include "wire/task_codec.h"

namespace mc::sim {
namespace {
constexpr Millis kPollWait{20'000};
constexpr Millis kPatience{10'000};
constexpr Millis kBackoffMax{5'000};

const Error kUnreachable{Code::unreachable, "no answer in time", {}};
const Error kNobodyLeads{Code::overloaded, "no replica leads at the moment", {}};

std::string encode_answer(const std::vector<Task>& tasks) { return wire::encode_tasks(tasks); }
std::string encode_answer(const auto& reply) { return wire::encode(reply); }
}  // namespace

WorkerNode::WorkerNode(Identity identity, Timeline& timeline, const Faults& faults,
                       Network& network, Servers& servers, Checker& checker, std::uint64_t seed)
    : identity_(std::move(identity)),
      timeline_(timeline),
      faults_(faults),
      network_(network),
      servers_(servers),
      checker_(checker),
      rng_(seed) {}

Millis WorkerNode::between(std::int64_t least_ms, std::int64_t most_ms) {
  return Millis(least_ms + static_cast<std::int64_t>(
                               rng_.below(static_cast<std::uint64_t>(most_ms - least_ms + 1))));
}

void WorkerNode::later(Millis delay, std::function<void()> action) {
  timeline_.after(delay, [this, life = life_, action = std::move(action)]() mutable {
    if (life != life_ || !alive_) return;
    if (paused_) return held_.push_back(std::move(action));
    action();
  });
}

// --- life ---

void WorkerNode::boot() {
  ++life_;
  alive_ = true;
  paused_ = enlisting_ = polling_ = delivering_ = false;
  held_.clear();
  worker_id_.clear();
  desk_ = std::make_unique<worker::Desk>(identity_.slots);
  poll();
  beat();
}

void WorkerNode::crash() {
  if (!alive_) return;
  alive_ = false;
  timeline_.after(between(100, 20'000), [this, life = life_] {
    if (life == life_ && !alive_) boot();
  });
}

void WorkerNode::pause(Millis time) {
  if (!alive_ || paused_) return;
  paused_ = true;
  timeline_.after(time, [this, life = life_] {
    if (life != life_ || !alive_) return;
    paused_ = false;
    for (auto& action : std::exchange(held_, {})) {
      if (alive_) action();
    }
  });
}

// --- calls ---

void WorkerNode::call(Kind kind, std::string body, Millis patience, Answer answer) {
  // The first of answer and time-out counts.
  auto open = std::make_shared<bool>(true);
  const int at = at_;
  auto once = [this, open, at, life = life_,
               answer = std::move(answer)](const Result<std::string>& r) {
    if (life != life_ || !alive_ || !*open) return;
    *open = false;
    // As client/http_transport.cc: who does not answer, or serves nobody, is left for the next.
    const bool away =
        !r && (r.error().code == Code::unreachable || r.error().code == kNobodyLeads.code);
    if (away && at == at_) at_ = (at + 1) % servers_.count();
    answer(r);
  };
  const auto back = [this, once, at](const Result<std::string>& reply) {
    network_.send(identity_.name, servers_.name(at), [this, once, reply] {
      if (alive_) later(Millis(0), [once, reply] { once(reply); });
    });
  };
  const auto handle = [this, kind, back, body = std::move(body)](conductor::Core& core, Instant now,
                                                                 const Exit& exit) {
    serve(kind, body, core, now, {exit, back});
  };
  network_.send(identity_.name, servers_.name(at),
                [this, at, handle, back] { servers_.receive(at, {handle, back}); });
  later(patience, [once] { once(kUnreachable); });
}

// The server's end of a call: what the API's handlers do, and what the checker wants to see.
void WorkerNode::serve(Kind kind, const std::string& body, conductor::Core& core, Instant now,
                       const Way& way) {
  const auto json = parse_json(body);
  // What the server does with an answer, if it may give one.
  const auto give = [this, way](auto look) {
    return [this, way, look](const auto& r) {
      if (!way.exit.open()) return way.reply(kNobodyLeads);
      checker_.speaks(way.exit.epoch);
      if (r) look(*r);
      if (!way.exit.whole()) return;
      way.reply(r ? encode_answer(*r) : Result<std::string>(r.error()));
    };
  };
  switch (kind) {
    case Kind::register_worker:
      return core.register_worker({}, *wire::decode_register_request(*json), now,
                                  give([](const auto&) {}));
    case Kind::poll: {
      const auto request = *wire::decode_poll_request(*json);
      return core.poll(request, now, give([this, request](const std::vector<Task>& tasks) {
                         for (const Task& task : tasks) checker_.granted(request.worker_id, task);
                       }));
    }
    case Kind::heartbeat: {
      const auto request = *wire::decode_heartbeat_request(*json);
      return core.heartbeat(request, now,
                            give([this, request, now](const wire::HeartbeatReply& reply) {
                              for (const wire::TaskHold& hold : request.tasks) {
                                if (std::ranges::find(reply.lost, hold.task_id) == reply.lost.end())
                                  checker_.renewed(hold, now);
                              }
                            }));
    }
    case Kind::complete: {
      const auto request = *wire::decode_complete_request(*json);
      return core.complete(request, now, give([this, request](const wire::CompleteReply& reply) {
                             for (const TaskResult& result : request.results) {
                               const bool taken =
                                   std::ranges::find(reply.accepted, result.task_id) !=
                                   reply.accepted.end();
                               checker_.settled(result.task_id, result.fence, taken);
                             }
                             for (const Task& task : reply.tasks)
                               checker_.granted(request.worker_id, task);
                           }));
    }
  }
}

void WorkerNode::failed(const Error& error) {
  if (error.code == Code::worker_not_found) worker_id_.clear();
}

// --- the loops of worker.cc ---

void WorkerNode::enlist() {
  if (std::exchange(enlisting_, true)) return;
  call(Kind::register_worker,
       wire::encode(wire::RegisterRequest{identity_.name, identity_.labels, identity_.slots, "sim",
                                          identity_.name, std::to_string(life_)}),
       kPatience, [this](const Result<std::string>& reply) {
         enlisting_ = false;
         if (!reply) return;
         const auto decoded = *wire::decode_register_reply(*parse_json(*reply));
         worker_id_ = decoded.worker_id;
         heartbeat_ = Millis(decoded.heartbeat_ms);
       });
}

void WorkerNode::poll() {
  if (worker_id_.empty()) {
    enlist();
    return later(between(200, 2'000), [this] { poll(); });
  }
  const int reserved = desk_->reserve_some();
  if (reserved == 0) return later(between(50, 500), [this] { poll(); });
  call(Kind::poll, wire::encode(wire::PollRequest{worker_id_, reserved, kPollWait.count()}),
       kPollWait + kPatience, [this, reserved](const Result<std::string>& reply) {
         std::vector<Task> tasks;
         if (reply) tasks = *wire::decode_tasks(*parse_json(*reply));
         if (!reply) failed(reply.error());
         desk_->take_in(reserved, std::move(tasks));
         begin_tasks();
         reply ? poll() : later(between(200, kBackoffMax.count()), [this] { poll(); });
       });
}

void WorkerNode::beat() {
  later(heartbeat_, [this] { beat(); });
  const auto holds = desk_->holds();
  if (holds.empty() || worker_id_.empty()) return;
  call(Kind::heartbeat, wire::encode(wire::HeartbeatRequest{worker_id_, holds}), kPatience,
       [this](const Result<std::string>& reply) {
         if (!reply) return failed(reply.error());
         const auto decoded = *wire::decode_heartbeat_reply(*parse_json(*reply));
         for (const std::string& id : decoded.cancel) desk_->cancel(id);
         for (const std::string& id : decoded.lost) desk_->lose(id);
       });
}

void WorkerNode::deliver() {
  if (delivering_) return;
  std::vector<TaskResult> results = desk_->try_results();
  if (results.empty()) return;
  delivering_ = true;
  const int reserved = desk_->reserve_some();
  const auto again = [this] {
    delivering_ = false;
    deliver();
  };
  if (worker_id_.empty()) {
    desk_->take_in(reserved, {});
    desk_->put_back(std::move(results));
    enlist();
    return later(between(200, 2'000), again);
  }
  call(Kind::complete, wire::encode(wire::CompleteRequest{worker_id_, results, reserved}),
       kPatience, [this, reserved, results, again](const Result<std::string>& reply) {
         if (!reply) {
           failed(reply.error());
           desk_->take_in(reserved, {});
           desk_->put_back(results);
           return later(between(200, kBackoffMax.count()), again);
         }
         auto decoded = *wire::decode_complete_reply(*parse_json(*reply));
         desk_->take_in(reserved, std::move(decoded.tasks));
         std::vector<std::string> ids;
         for (const TaskResult& result : results) ids.push_back(result.task_id);
         desk_->settled(ids);
         begin_tasks();
         again();
       });
}

// --- work ---

void WorkerNode::begin_tasks() {
  while (const worker::Desk::Ref held = desk_->try_next()) work(held);
}

void WorkerNode::work(const worker::Desk::Ref& held) {
  // Most jobs are short; some outlive every lease.
  const std::int64_t most = rng_.chance(0.2) ? 60'000 : 4'000;
  const Instant ends = timeline_.now() + between(1, most);
  look(held, ends);
}

// At its strings, as a real job's supervisor does, only less often.
void WorkerNode::look(const worker::Desk::Ref& held, Instant ends) {
  const bool over = timeline_.now() >= ends;
  if (held->control.lost() || held->control.cancelled() || over)
    return end(held, held->control.cancelled() && !over);
  later(std::min(Millis(1'000), ends - timeline_.now()), [this, held, ends] { look(held, ends); });
}

void WorkerNode::end(const worker::Desk::Ref& held, bool cancelled) {
  ++finished_;
  desk_->finish(held, result_of(held->task, cancelled));
  deliver();
}

TaskResult WorkerNode::result_of(const Task& task, bool cancelled) {
  TaskResult result{.task_id = task.task_id, .fence = task.fence};
  if (cancelled) {
    result.outcome = Outcome::cancelled;
    return result;
  }
  if (rng_.chance(calm_ ? 0.05 : faults_.fail_job)) {
    constexpr Outcome kOutcomes[] = {Outcome::failed, Outcome::failed, Outcome::timed_out};
    constexpr FailureKind kKinds[] = {FailureKind::user, FailureKind::infra, FailureKind::oom};
    result.outcome = kOutcomes[rng_.below(3)];
    result.failure_kind =
        result.outcome == Outcome::timed_out ? FailureKind::timeout : kKinds[rng_.below(3)];
    result.exit_code = rng_.chance(0.3) ? 75 : 1;
    return result;
  }
  if (rng_.chance(0.05)) result.outcome = Outcome::reused;
  // What the definition names, with values that a matrix can be made of.
  const auto spec = parse_json(task.spec_json);
  const Value* job = spec->find("job");
  const Value* outputs = job != nullptr ? job->find("outputs") : nullptr;
  if (outputs == nullptr || !outputs->is_object()) return result;
  Object values;
  for (const auto& [name, text] : outputs->as_object()) {
    values.emplace_back(name, Value(name == "list" ? R"(["a","b","c"])" : "value of " + name));
  }
  result.outputs = Value(std::move(values));
  return result;
}

}  // namespace mc::sim
