// What follows from events: jobs to dispatch, locks, child runs. Everything here can be done again
// from the state alone (restore_effects), so there is nothing to lose in a crash.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "conductor/core.h"
#include "engine/conditions.h"

namespace mc::conductor {
namespace {
LockOwner owner_of(const engine::RunState& run, NodeIndex node) {
  return {run.facts.number, run.id, node};
}

std::string group_of_run(const engine::RunState& run) {
  return run_group(run.facts.project, run.facts.lock_group);
}

std::string group_of_job(const engine::RunState& run, const engine::JobState& job) {
  return job_group(run.facts.project, job.wait_detail);
}
}  // namespace

Uuid child_id(const engine::RunState& parent, NodeIndex node, int attempt) {
  return derive_uuid(parent.created_at, to_string(parent.id) + "/" + std::to_string(node) + "/" +
                                            std::to_string(attempt));
}

// A job that is ready has labels: it would have failed before.
JobWants wants_of(const engine::RunState& run, const engine::JobState& job) {
  const Result<std::vector<std::string>> labels = engine::labels_of(run, job);
  return {labels ? *labels : job.spec->runs_on, run.facts.project, run.definition->spec.priority,
          job.spec->resources};
}

void Core::react(HotRun& run, const Event& event, Instant now) {
  const Uuid id = run.state.id;
  if (const auto* ready = std::get_if<JobReady>(&event.body)) {
    const engine::JobState& job = run.state.jobs[ready->node];
    if (job.status == JobStatus::ready) dispatcher_.add(wants_of(run.state, job), id, ready->node);
  } else if (const auto* waiting = std::get_if<JobWaiting>(&event.body)) {
    const NodeIndex node = waiting->node;
    if (waiting->reason == Reason::lock) {
      const int limit = run.state.jobs[node].spec->concurrency->limit;
      if (locks_.acquire(group_of_job(run.state, run.state.jobs[node]), limit,
                         owner_of(run.state, node))) {
        grant_locks({owner_of(run.state, node)}, now);
      }
    } else if (waiting->reason == Reason::child) {
      follow_ups_.push_back([this, id, node](Instant later) {
        if (HotRun* parent = find_hot(id)) start_child(*parent, node, later);
      });
    }
  } else if (const auto* finished = std::get_if<JobFinished>(&event.body)) {
    ++counters_.jobs_finished;
    finish_job_effects(run, finished->node, now);
  } else if (const auto* asked = std::get_if<ApprovalRequested>(&event.body)) {
    approvals_[asked->approval] = {id, asked->node};
  } else if (const auto* retrying = std::get_if<JobRetrying>(&event.body)) {
    drop_lease(id, retrying->node);
    stop_child(run.state, retrying->node, retrying->attempt);
  } else if (std::holds_alternative<RunFinished>(event.body)) {
    finish_run_effects(run, now);
  }
}

void Core::finish_job_effects(HotRun& run, NodeIndex node, Instant now) {
  const engine::JobState& job = run.state.jobs[node];
  drop_lease(run.state.id, node);
  if (job.spec->concurrency && !job.wait_detail.empty()) {
    grant_locks(locks_.release(group_of_job(run.state, job), owner_of(run.state, node)), now);
  }
  if (job.status != JobStatus::succeeded) stop_child(run.state, node, job.attempt);
}

// The child of an attempt goes on only as long as somebody waits for it.
void Core::stop_child(const engine::RunState& parent, NodeIndex node, int attempt) {
  if (parent.jobs[node].spec->kind != JobKind::workflow || attempt == 0) return;
  follow_ups_.push_back([this, child = child_id(parent, node, attempt)](Instant later) {
    HotRun* open = find_hot(child);
    if (open == nullptr || is_final(open->state.status)) return;
    auto events = engine::cancel_run(
        open->state, {"system", "its parent run no longer waits for it", false}, ambient(later));
    if (events) record(*open, std::move(*events), later);
  });
}

void Core::finish_run_effects(HotRun& run, Instant now) {
  const engine::RunState& state = run.state;
  if (!state.facts.lock_group.empty()) {
    grant_locks(locks_.release(group_of_run(state), owner_of(state, kWholeRun)), now);
  }
  const std::string schedule = state.facts.trigger.string_or("schedule", "");
  if (!schedule.empty()) {
    const std::string key = state.facts.project + "/" + schedule;
    schedule_runs_[key].erase(state.id);
    const auto found = schedules_.find(key);
    if (found != schedules_.end() && found->second.queued > 0) arm_schedules(now);
  }
  if (state.facts.parent) {
    follow_ups_.push_back([this, id = state.id](Instant later) {
      if (HotRun* child = find_hot(id)) report_child(child->state, later);
    });
  }
}

void Core::grant_locks(const std::vector<LockOwner>& owners, Instant) {
  for (const LockOwner& owner : owners) {
    follow_ups_.push_back([this, owner](Instant later) {
      HotRun* run = find_hot(owner.run);
      if (run == nullptr) return;
      record(*run,
             owner.node == kWholeRun ? engine::begin_run(run->state, ambient(later))
                                     : engine::grant_lock(run->state, owner.node, ambient(later)),
             later);
    });
  }
}

void Core::start_child(HotRun& parent, NodeIndex node, Instant now) {
  const engine::JobState& job = parent.state.jobs[node];
  if (job.status != JobStatus::waiting || job.reason != Reason::child) return;
  const Uuid id = child_id(parent.state, node, job.attempt);
  if (find_hot(id) != nullptr) return;
  const auto once_more = [this, parent_id = parent.state.id, node](Instant later) {
    if (HotRun* run = find_hot(parent_id)) start_child(*run, node, later);
  };
  const auto stored = store_.load_run(id);
  if (!stored) return try_again(once_more, now);
  if (*stored) {
    const auto past = rebuild(**stored);
    if (!past) return try_again(once_more, now);
    if (is_final(past->status)) report_child(*past, now);
    return;
  }
  auth::Principal by;
  by.name = parent.state.facts.actor;
  by.project = parent.state.facts.project;
  StartRun request{.principal = by,
                   .workflow = job.wait_detail,
                   .inputs = job.detail ? job.detail->child_inputs : Value(Object{}),
                   .ref = parent.state.facts.ref,
                   .commit = parent.state.facts.commit,
                   .repository = parent.state.facts.repository,
                   .labels = parent.state.facts.labels};
  request.trigger =
      Value(Object{{"kind", "parent"}, {"run", to_string(parent.state.id)}, {"job", job.key}});
  Result<NewRun> fresh = prepare_start(request, now);
  if (!fresh && fresh.error().code == Code::store_failed) return try_again(once_more, now);
  const int attempt = job.attempt;
  if (fresh) {
    fresh->id = id;
    fresh->facts.parent = parent.state.id;
    fresh->facts.parent_node = node;
    fresh->facts.depth = parent.state.facts.depth + 1;
    Result<RunView> shown = admit(std::move(*fresh), now);
    if (shown) return;
    record(parent,
           engine::finish_child(
               parent.state, node,
               {.attempt = attempt, .status = RunStatus::failed, .message = shown.error().message},
               ambient(now)),
           now);
    return;
  }
  record(parent,
         engine::finish_child(
             parent.state, node,
             {.attempt = attempt, .status = RunStatus::failed, .message = fresh.error().message},
             ambient(now)),
         now);
}

// Whether `run` cannot end before one of those in `asking` does, because a child run of it waits,
// over locks and child runs of others, for them.
bool Core::waits_for(Uuid id, std::set<Uuid>& asking) {
  if (asking.contains(id)) return true;
  const HotRun* run = find_hot(id);
  if (run == nullptr || is_final(run->state.status)) return false;
  asking.insert(id);  // a circle that does not pass the asking run is one all the same
  const auto count = static_cast<NodeIndex>(run->state.jobs.size());
  for (NodeIndex node = 0; node < count; ++node) {
    const engine::JobState& job = run->state.jobs[node];
    if (job.status != JobStatus::waiting || job.reason != Reason::child) continue;
    const HotRun* child = find_hot(child_id(run->state, node, job.attempt));
    if (child == nullptr) continue;
    const bool queued = !child->state.phase_begun && !child->state.facts.lock_group.empty();
    if (queued ? all_wait_for(group_of_run(child->state), asking)
               : waits_for(child->state.id, asking))
      return true;
  }
  asking.erase(id);
  return false;
}

// The same for whoever holds `group`: nobody will ever give it up.
bool Core::all_wait_for(const std::string& group, std::set<Uuid>& asking) {
  const std::vector<LockOwner> holders = locks_.holders(group);
  return std::all_of(holders.begin(), holders.end(), [&](const LockOwner& holder) {
    return holder.node == kWholeRun && waits_for(holder.run, asking);
  });
}

void Core::report_child(const engine::RunState& child, Instant now) {
  HotRun* parent = find_hot(child.facts.parent);
  if (parent == nullptr || child.facts.parent_node >= parent->state.jobs.size()) return;
  const engine::JobState& job = parent->state.jobs[child.facts.parent_node];
  if (child_id(parent->state, child.facts.parent_node, job.attempt) != child.id) return;
  engine::ChildResult result{
      .attempt = job.attempt, .status = child.status, .outputs = child.outputs};
  if (child.status != RunStatus::succeeded) {
    result.message = fmt::format("child run {} {}{}{}", to_string(child.id), to_name(child.status),
                                 child.message.empty() ? "" : ": ", child.message);
  }
  record(*parent,
         engine::finish_child(parent->state, child.facts.parent_node, result, ambient(now)), now);
}

// After a restart, first for all runs: who holds what. Nobody may be given a lock before.
void Core::restore_holds(const HotRun& run) {
  const engine::RunState& state = run.state;
  if (!state.facts.lock_group.empty() && state.phase_begun) {
    locks_.restore(group_of_run(state), state.definition->spec.concurrency->limit,
                   owner_of(state, kWholeRun));
  }
  for (NodeIndex node = 0; node < state.jobs.size(); ++node) {
    const engine::JobState& job = state.jobs[node];
    if (!job.holds_lock || is_final(job.status)) continue;
    locks_.restore(group_of_job(state, job), job.spec->concurrency->limit, owner_of(state, node));
  }
}

// After that: what events would have set in motion, from what the run looks like.
void Core::restore_effects(HotRun& run, Instant now) {
  const engine::RunState& state = run.state;
  if (!state.facts.run_key.empty())
    run_keys_[state.facts.project + "\n" + state.facts.run_key] = state.id;
  const std::string schedule = state.facts.trigger.string_or("schedule", "");
  if (!schedule.empty()) schedule_runs_[state.facts.project + "/" + schedule].insert(state.id);
  const std::string& group = state.facts.lock_group;
  if (!state.phase_begun &&
      (group.empty() ||
       locks_.acquire(group_of_run(state), state.definition->spec.concurrency->limit,
                      owner_of(state, kWholeRun)))) {
    grant_locks({owner_of(state, kWholeRun)}, now);
  }
  for (NodeIndex node = 0; node < state.jobs.size(); ++node) {
    const engine::JobState& job = state.jobs[node];
    if (job.detail && job.detail->approval) approvals_[job.detail->approval->id] = {state.id, node};
    if (is_final(job.status)) continue;
    if (job.status == JobStatus::ready) dispatcher_.add(wants_of(state, job), state.id, node);
    const bool at_work = job.status == JobStatus::running || job.status == JobStatus::cancelling;
    if (at_work && !job.group) {
      // The embedded worker died with the process before; others get a lease to show up in, as it
      // does when only a commit failed.
      const bool gone = !recovered_ && !options_.embedded_worker.empty() &&
                        job.worker == options_.embedded_worker;
      set_lease(state, node, gone ? now : now + options_.lease);
    }
    if (job.status != JobStatus::waiting) continue;
    if (job.reason == Reason::lock &&
        locks_.acquire(group_of_job(state, job), job.spec->concurrency->limit,
                       owner_of(state, node))) {
      grant_locks({owner_of(state, node)}, now);
    }
    if (job.reason == Reason::child) {
      follow_ups_.push_back([this, id = state.id, node](Instant later) {
        if (HotRun* parent = find_hot(id)) start_child(*parent, node, later);
      });
    }
  }
  timers_.arm(run.timer, engine::next_due(run.state));
}
}  // namespace mc::conductor
