#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "base/text.h"
#include "conductor/core.h"
#include "engine/conditions.h"
#include "engine/limits.h"

namespace mc::conductor {
namespace {
constexpr int kTasksPerPollMax = 256;
constexpr Millis kPollWaitMax{60'000};
// A worker that was silent for this long is no longer shown.
constexpr Millis kForgetWorkers{3'600'000};

std::string task_id(Uuid run, NodeIndex node, int attempt) {
  return to_string(run) + "." + std::to_string(node) + "." + std::to_string(attempt);
}

Error unknown_worker(const std::string& id) {
  return Error{Code::worker_not_found, "worker " + id + " is not registered: register again", {}};
}

Error name_taken(const std::string& name) {
  return {Code::worker_name_taken,
          "another worker is called " + name + ": give this one a name of its own",
          {}};
}

void write_resources(JsonWriter& out, const Resources& resources) {
  out.open('{').field("cpu", cpus_of(resources)).field("memory", resources.memory).close('}');
}

bool names(const std::vector<std::string>& list) { return !list.empty(); }
}  // namespace

std::optional<Core::TaskKey> Core::parse_task_id(std::string_view text) const {
  if (text.starts_with(options_.task_prefix)) text.remove_prefix(options_.task_prefix.size());
  // Given when there were several shards, of which this has all now.
  const std::size_t dot = text.find('.');
  if (options_.task_prefix.empty() && text.starts_with('s') && dot != std::string_view::npos)
    text.remove_prefix(dot + 1);
  const std::vector<std::string> parts = split(text, '.');
  if (parts.size() != 3) return std::nullopt;
  const auto run = parse_uuid(parts[0]);
  NodeIndex node = 0;
  const auto end = parts[1].data() + parts[1].size();
  const auto read = std::from_chars(parts[1].data(), end, node);
  if (!run || parts[1].empty() || read.ptr != end || read.ec != std::errc{}) return std::nullopt;
  return TaskKey{*run, node};
}

// --- leases ---

Core::Lease& Core::set_lease(const engine::RunState& run, NodeIndex node, Instant expires) {
  const TimerKey key{.kind = TimerKind::lease, .run = run.id, .node = node};
  const auto [entry, is_new] = leases_.try_emplace({run.id, node}, key);
  Lease& lease = entry->second;
  const engine::JobState& job = run.jobs[node];
  if (is_new) {
    lease.job = {run.facts.project, job.worker, job.spec->resources};
    dispatcher_.began(lease.job);
  }
  lease.expires = expires;
  lease.fence = job.fence;
  timers_.arm(lease.timer, expires);
  return lease;
}

void Core::drop_lease(Uuid run, NodeIndex node) {
  const auto lease = leases_.find({run, node});
  if (lease == leases_.end()) return;
  dispatcher_.ended(lease->second.job);
  leases_.erase(lease);
}

void Core::expire_lease(Uuid id, NodeIndex node, Instant now) {
  const auto lease = leases_.find({id, node});
  if (lease == leases_.end()) return;
  // Heartbeats move the end on without touching the timer.
  const Instant until = std::max(lease->second.expires, hold_until_);
  if (until > now) return timers_.arm(lease->second.timer, until);
  const std::int64_t fence = lease->second.fence;
  drop_lease(id, node);
  if (HotRun* run = find_hot(id)) {
    record(*run, engine::lose_worker(run->state, node, fence, ambient(now)), now);
  }
}

// --- granting ---

std::string Core::task_spec(const engine::RunState& run, const engine::JobState& job) const {
  const References& refs = job.spec->references;
  const bool after_graph = job.phase != Phase::graph;
  JsonWriter out;
  out.open('{').field("workflow", run.facts.workflow).field("key", job.key);
  out.field("phase", engine::to_name(job.phase)).key("job").raw(job.spec->source_json);
  if (!job.matrix.is_null()) out.field("matrix", job.matrix);
  out.key("env").open('{');
  for (const auto& [name, text] : run.definition->spec.env) out.field(name, text);
  out.close('}');
  if (refs.inputs || !run.definition->spec.env.empty()) out.field("inputs", run.facts.inputs);
  if (names(refs.needs) || after_graph) {
    out.key("needs").open('{');
    const auto write = [&](const std::string& key) {
      const engine::JobState* need = engine::find_job(run, key);
      if (need != nullptr) out.field(key, engine::need_value(run, *need));
    };
    if (after_graph) {
      for (const JobSpec& spec : run.definition->spec.jobs) write(spec.key);
    } else {
      for (const std::string& key : refs.needs) write(key);
    }
    out.close('}');
  }
  if (names(refs.secrets)) {
    out.key("secrets").open('{');
    for (const std::string& name : refs.secrets) {
      const auto value = secret_source_ ? secret_source_(run.facts.project, name) : std::nullopt;
      if (value) out.field(name, *value);
    }
    out.close('}');
  }
  if (names(refs.vars) || !run.facts.vars.as_object().empty()) out.field("vars", run.facts.vars);
  if (refs.event) out.field("event", run.facts.event);
  out.field("run", engine::run_context(run, job.attempt, options_.public_url));
  const lang::StatusView view = engine::status_view(run, job);
  out.key("status").open('{').field("success", view.success).field("failure", view.failure);
  out.field("cancelled", view.cancelled).close('}');
  out.field("cache_scope", run.facts.project);
  if (run.cancel_requested) out.field("finally_only", false);
  return out.close('}').take();
}

std::optional<Task> Core::grant(const ReadyJob& ready, WorkerInfo& worker, Instant now) {
  HotRun* run = find_hot(ready.run);
  if (run == nullptr) return std::nullopt;
  auto events = engine::grant_job(run->state, ready.node, worker.name, ambient(now));
  if (!events) return std::nullopt;
  record(*run, std::move(*events), now);
  const engine::JobState& job = run->state.jobs[ready.node];
  set_lease(run->state, ready.node, now + options_.lease).instance = worker.instance;
  ++worker.running;
  return Task{.task_id = options_.task_prefix + task_id(ready.run, ready.node, job.attempt),
              .fence = job.fence,
              .run_id = ready.run,
              .job = job.key,
              .attempt = job.attempt,
              .spec_json = task_spec(run->state, job),
              .deadline = job.due - engine::kWorkerSlack};
}

bool Core::is_ready(const ReadyJob& job) {
  const HotRun* run = find_hot(job.run);
  return run != nullptr && run->state.jobs[job.node].status == JobStatus::ready;
}

std::vector<Task> Core::take_tasks(WorkerInfo& worker, int max, int priority_min, Instant now) {
  std::vector<Task> tasks;
  if (draining_ || worker.draining) return tasks;
  while (static_cast<int>(tasks.size()) < std::min(max, kTasksPerPollMax)) {
    const auto ready = dispatcher_.take(
        worker, [this](const ReadyJob& job) { return is_ready(job); }, priority_min);
    if (!ready) break;
    if (auto task = grant(*ready, worker, now)) tasks.push_back(std::move(*task));
  }
  return tasks;
}

std::optional<wire::Offer> Core::next_for(const WorkerInfo& worker) {
  if (draining_ || worker.draining) return std::nullopt;
  return dispatcher_.next_for(worker, [this](const ReadyJob& job) { return is_ready(job); });
}

void Core::match_pollers(Instant now) {
  dispatcher_.drop_stale([this](const ReadyJob& job) { return is_ready(job); });
  const bool changed = dispatcher_.take_change();
  for (auto poller = pollers_.begin(); changed && poller != pollers_.end();) {
    if (dispatcher_.ready_count() == 0) break;
    poller = offer(poller, now);
  }
  if (changed && dispatcher_.take_news() && !draining_) left_ready_ = true;
  for (const std::uint64_t ticket : std::exchange(polls_over_, {})) {
    if (const auto poller = pollers_.find(ticket); poller != pollers_.end()) offer(poller, now);
  }
}

Core::Pollers::iterator Core::offer(Pollers::iterator at, Instant now) {
  Poller& poller = at->second;
  WorkerInfo* worker = dispatcher_.find_worker(poller.worker_id);
  // A worker that holds tasks and sends no heartbeats is dead, stopped or cut off: its poll would
  // only swallow the very retry. Should it live, it asks again.
  const bool silent =
      worker != nullptr && worker->running > 0 && worker->last_seen + options_.lease <= now;
  const bool answerable = worker != nullptr && !silent && !poller.is_gone();
  std::vector<Task> tasks;
  if (answerable && dispatcher_.ready_count() > 0) {
    tasks = take_tasks(*worker, poller.max, poller.priority_min, now);
  }
  if (tasks.empty() && answerable && poller.until > now) return std::next(at);
  if (poller.aside && answerable) poller.aside->next = wire::Next{next_for(*worker)};
  if (answerable) worker->answered = now;
  reply_after_commit([done = std::move(poller.done), tasks = std::move(tasks)](
                         const Status& status) { status ? done(tasks) : done(status.error()); });
  return pollers_.erase(at);
}

// --- the protocol ---

// Who waits for work in a poll that is open is here, and has nothing to beat for.
bool Core::is_polling(const WorkerInfo& worker, Instant now) const {
  return worker.parked_until > now ||
         std::any_of(pollers_.begin(), pollers_.end(), [&](const auto& entry) {
           return entry.second.worker_id == worker.id && !entry.second.is_gone();
         });
}

// It polls, is between two polls, or before its first: its death shows a little later. Heartbeats
// say nothing: its pods send them under its id, also when it is gone.
bool Core::is_here(const WorkerInfo& worker, Instant now) const {
  constexpr Millis kBetweenPolls{5'000};
  if (is_polling(worker, now)) return true;
  const Instant heard = std::max(worker.registered_at, worker.answered);
  return !worker.draining && now - heard < kBetweenPolls;
}

// What an earlier life of a worker had is over.
void Core::lose_tasks_of(const std::string& instance, Instant now) {
  std::vector<TaskKey> lost;
  for (auto& [task, lease] : leases_) {
    if (lease.instance != instance) continue;
    lease.expires = now;
    lost.push_back(task);
  }
  for (const TaskKey& task : lost) expire_lease(task.run, task.node, now);
  follow_up(now);
}

// A worker whose tasks outlive it comes beside its earlier life, under whose id its tasks go on.
// Errors: worker_name_taken: the other is here, or seems to be.
Status Core::come_beside(const wire::RegisterRequest& request, Instant now) {
  if (request.life.empty() || request.again) return {};
  for (const WorkerInfo* other : dispatcher_.find_workers_named(request.name)) {
    // Its pods are called so, too: they have no life of their own and ask for nothing.
    const bool is_another =
        other->instance.empty() && !other->life.empty() && other->life != request.life;
    if (is_another && is_here(*other, now)) return name_taken(request.name);
  }
  return {};
}

// A name is one worker's: the one that has it is asked to leave when it is another life of the same
// instance, or was silent for long. Errors: worker_name_taken; worker_not_found: it was told again,
// and somebody else has the name; unavailable: the other may be dead, which is known once its lease
// is over.
Status Core::make_way(const wire::RegisterRequest& request, Instant now) {
  if (request.instance.empty()) return come_beside(request, now);
  for (const WorkerInfo* other : dispatcher_.find_workers_named(request.name)) {
    if (other->instance.empty()) continue;
    // Who is only remembered may be an earlier life of the one that is here.
    if (request.again && other->id != request.worker_id) return unknown_worker(request.worker_id);
    const bool same = other->instance == request.instance;
    if (!same && is_polling(*other, now)) return name_taken(request.name);
    if (!same && other->last_seen + options_.lease >= now) {
      return Error{Code::unavailable,
                   "a worker called " + request.name +
                       " was here a moment ago: this one takes its place when it stays away; if "
                       "it works, give this one a name of its own",
                   {}};
    }
    const bool new_life = same && other->life != request.life;
    dispatcher_.drop_worker(std::string(other->id));
    if (new_life) lose_tasks_of(request.instance, now);
  }
  return {};
}

void Core::register_worker(const auth::Principal&, const wire::RegisterRequest& request,
                           Instant now, Done<wire::RegisterReply> done) {
  const WorkerInfo* known = dispatcher_.find_worker(request.worker_id);
  if (known != nullptr && (known->instance != request.instance || known->name != request.name))
    return done(Error{Code::conflict, "worker_id: another worker is registered under it", {}});
  if (known != nullptr && request.again)
    return done(wire::RegisterReply{known->id, options_.heartbeat.count(), options_.lease.count()});
  if (Status free = make_way(request, now); !free.ok()) return done(free.error());
  WorkerInfo worker{
      .id = request.worker_id.empty() ? to_string(make_uuid(now, rng_)) : request.worker_id,
      .name = request.name,
      .labels = request.labels,
      .slots = request.slots,
      .version = request.version,
      .instance = request.instance,
      .life = request.life,
      .registered_at = now,
      .last_seen = now,
      .draining = request.draining,
      .resources = request.resources};
  const std::string id = worker.id;
  dispatcher_.drop_silent(now - kForgetWorkers);
  dispatcher_.add_worker(std::move(worker));
  done(wire::RegisterReply{id, options_.heartbeat.count(), options_.lease.count()});
}

// Own tasks are counted by their leases, which know better: one may have ended since the poll came.
void Core::note_holds(WorkerInfo& worker, const std::vector<wire::TaskUse>& holds) {
  Resources elsewhere;
  for (const wire::TaskUse& use : holds) {
    const auto own = parse_task_id(use.task_id);
    const bool names_a_shard = use.task_id.starts_with('s');
    const bool is_named = options_.task_prefix.empty()
                              ? !names_a_shard
                              : use.task_id.starts_with(options_.task_prefix);
    const bool by_name = own && is_named;
    if (by_name || (own && leases_.contains(*own))) continue;
    elsewhere.cpu_milli += use.resources.cpu_milli;
    elsewhere.memory = std::min(elsewhere.memory + use.resources.memory, kMemoryMax);
  }
  if (elsewhere == worker.elsewhere) return;
  worker.elsewhere = elsewhere;
  dispatcher_.note_change();
}

void Core::poll(const wire::PollRequest& request, Instant now, Done<std::vector<Task>> done,
                Gone gone, std::shared_ptr<PollAside> aside) {
  WorkerInfo* worker = dispatcher_.find_worker(request.worker_id);
  if (worker == nullptr) return done(unknown_worker(request.worker_id));
  if (aside) aside->drains = worker->draining;
  if (!request.wants_next) aside = nullptr;
  if (aside && request.max == 0 && request.parks_ms == 0) {
    aside->next = wire::Next{next_for(*worker)};
    return done(std::vector<Task>{});
  }
  const Millis wait = std::clamp(Millis(request.wait_ms), Millis(0), kPollWaitMax);
  const Millis parks = std::clamp(Millis(request.parks_ms), Millis(0), kPollWaitMax);
  // What only tells what it holds shortens no wait of another call.
  worker->parked_until =
      parks.count() > 0 ? std::max(worker->parked_until, now + wait + parks) : Instant{};
  note_holds(*worker, request.holds);
  if (request.max == 0) {
    if (aside) aside->next = wire::Next{next_for(*worker)};
    return done(std::vector<Task>{});
  }
  worker->last_seen = now;
  const std::uint64_t ticket = next_ticket_++;
  Poller& poller = pollers_.try_emplace(ticket, ticket).first->second;
  poller.worker_id = request.worker_id;
  poller.max = std::max(1, request.max);
  poller.priority_min = request.priority_min.value_or(kPriorityMin);
  poller.until = now + wait;
  poller.done = std::move(done);
  poller.gone = std::move(gone);
  poller.aside = std::move(aside);
  timers_.arm(poller.timer, poller.until);
  match_pollers(now);
  if (const auto waits = pollers_.find(ticket); waits != pollers_.end()) offer(waits, now);
}

void Core::heartbeat(const wire::HeartbeatRequest& request, Instant now,
                     Done<wire::HeartbeatReply> done) {
  WorkerInfo* worker = dispatcher_.find_worker(request.worker_id);
  if (worker == nullptr) return done(unknown_worker(request.worker_id));
  worker->last_seen = now;
  worker->running = static_cast<int>(request.tasks.size());
  wire::HeartbeatReply reply;
  for (const wire::TaskHold& hold : request.tasks) {
    const auto name = parse_task_id(hold.task_id);
    HotRun* run = name ? find_hot(name->run) : nullptr;
    const bool known = run != nullptr && name->node < run->state.jobs.size();
    const engine::JobState* job = known ? &run->state.jobs[name->node] : nullptr;
    const bool held = known && job->fence == hold.fence &&
                      (job->status == JobStatus::running || job->status == JobStatus::cancelling);
    const auto lease = held ? leases_.find({name->run, name->node}) : leases_.end();
    // A lease that has run out is not renewed, even if its end was not acted on yet.
    if (lease == leases_.end() || lease->second.expires <= now) {
      reply.lost.push_back(hold.task_id);
      continue;
    }
    lease->second.expires = now + options_.lease;
    if (job->status == JobStatus::cancelling) reply.cancel.push_back(hold.task_id);
  }
  done(std::move(reply));
}

void Core::complete(const wire::CompleteRequest& request, Instant now,
                    Done<wire::CompleteReply> done) {
  WorkerInfo* worker = dispatcher_.find_worker(request.worker_id);
  if (worker == nullptr) return done(unknown_worker(request.worker_id));
  worker->last_seen = now;
  wire::CompleteReply reply;
  for (const TaskResult& result : request.results) {
    const auto name = parse_task_id(result.task_id);
    HotRun* run = name ? find_hot(name->run) : nullptr;
    if (run == nullptr) {
      reply.rejected.push_back({result.task_id, std::string(code_name(Code::fenced))});
      continue;
    }
    auto events = engine::complete_job(run->state, name->node, result, ambient(now));
    if (!events) {
      reply.rejected.push_back({result.task_id, std::string(code_name(events.error().code))});
      continue;
    }
    record(*run, std::move(*events), now);
    reply.accepted.push_back(result.task_id);
    worker->running = std::max(0, worker->running - 1);
  }
  follow_up(now);
  worker = dispatcher_.find_worker(request.worker_id);
  if (request.max > 0 && worker != nullptr) {
    note_holds(*worker, request.holds);
    reply.tasks = take_tasks(*worker, request.max, kPriorityMin, now);
  }
  match_pollers(now);
  reply_after_commit([done = std::move(done), reply = std::move(reply)](const Status& status) {
    status ? done(reply) : done(status.error());
  });
}

void Core::check_hold(const std::string& id, std::int64_t fence, Done<LogTarget> done) {
  const auto name = parse_task_id(id);
  HotRun* run = name ? find_hot(name->run) : nullptr;
  if (run == nullptr || name->node >= run->state.jobs.size()) {
    return done(Error{Code::fenced, "this task is over", {}});
  }
  const engine::JobState& job = run->state.jobs[name->node];
  const bool held = job.status == JobStatus::running || job.status == JobStatus::cancelling;
  if (!held || job.fence != fence) {
    return done(Error{Code::fenced, "this attempt is over, or was given to another worker", {}});
  }
  done(LogTarget{name->run, name->node, job.key, job.attempt});
}

void Core::workers(Instant now, Done<std::string> done) {
  // As is_polling, for all of them at once.
  std::set<std::string_view> polling;
  for (const auto& [ticket, poller] : pollers_) {
    if (!poller.is_gone()) polling.insert(poller.worker_id);
  }
  JsonWriter out;
  out.open('{').key("items").open('[');
  for (const auto& [id, worker] : dispatcher_.workers()) {
    const bool waits = polling.contains(id) || worker.parked_until > now;
    const Instant seen = waits ? now : worker.last_seen;
    const bool silent = seen + options_.lease < now;
    const std::string_view status = silent               ? "lost"
                                    : worker.draining    ? "draining"
                                    : worker.running > 0 ? "busy"
                                                         : "idle";
    out.open('{').field("id", id).field("name", worker.name).field("status", status);
    out.key("labels").open('[');
    for (const std::string& label : worker.labels) out.item(label);
    out.close(']').field("slots", worker.slots).field("running", worker.running);
    if (!worker.resources.empty()) {
      write_resources(out.key("resources"), worker.resources);
      write_resources(out.key("in_use"), dispatcher_.in_use(worker.name));
    }
    out.field("version", worker.version).field("registered_at", worker.registered_at);
    out.field("last_seen_at", seen).close('}');
  }
  done(out.close(']').key("next_cursor").null().close('}').take());
}

void Core::drain_worker(const std::string& worker_id, bool drain, Instant now,
                        Done<std::string> done) {
  WorkerInfo* worker = dispatcher_.find_worker(worker_id);
  if (worker == nullptr)
    return done(Error{Code::worker_not_found, "there is no worker " + worker_id, {}});
  // Others may have what was kept for it, or it may have some again.
  if (worker->draining != drain) dispatcher_.note_room();
  worker->draining = drain;
  dispatcher_.note_change();
  if (!drain) match_pollers(now);
  JsonWriter out;
  out.open('{')
      .field("id", worker_id)
      .field("name", worker->name)
      .field("draining", drain)
      .close('}');
  done(out.take());
}
}  // namespace mc::conductor
