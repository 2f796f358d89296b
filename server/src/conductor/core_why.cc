// What a run waits for: which part of the outside, since when, who can end it, and for how long it
// usually is.
#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "conductor/core.h"
#include "conductor/render.h"
#include "conductor/wait_text.h"
#include "engine/conditions.h"

namespace mc::conductor {
namespace {
constexpr std::size_t kWhyShownMax = 200;

constexpr std::size_t kLiftersMax = 10;        // named of one wait
constexpr std::size_t kAheadMax = 100;         // more in line: no estimate
constexpr int kDepthMax = 64;                  // of jobs that need jobs: further is no estimate
constexpr int kWorkflowsReadMax = 8;           // from the store for one answer: the loop must go on
constexpr int kRowsReadMax = 50;               // of each, among which are those that succeeded
constexpr std::int64_t kNodesReadMax = 2'000;  // of each: what is larger gives its whole time only

// Who or what can end a wait.
struct Lifter {
  std::string_view kind;  // approver, job, operator, run, signal, time or worker
  std::string name;
  Uuid run;             // run: which
  Instant at;           // time: when
  std::string command;  // what a person types for it; empty: nothing to type
};

void write(JsonWriter& out, const std::vector<Lifter>& lifters) {
  out.key("lifted_by").open('[');
  for (std::size_t i = 0; i < std::min(lifters.size(), kLiftersMax); ++i) {
    const Lifter& lifter = lifters[i];
    out.open('{').field("kind", lifter.kind).field("name", lifter.name).field("run", lifter.run);
    out.field("at", lifter.at).text_or_null("command", lifter.command).close('}');
  }
  out.close(']');
}

void write(JsonWriter& out, const std::optional<Estimate>& estimate) {
  out.key("estimate");
  // What is known is not an estimate: `until` and `at` have it.
  if (!estimate || estimate->runs == Estimate::kKnown) {
    out.null();
    return;
  }
  out.open('{').field("remaining_ms", estimate->time.count());
  out.field("runs", estimate->runs).close('}');
}

std::vector<Lifter> approvers(const engine::RunState& run, const engine::JobState& job) {
  const engine::Approval& approval = *job.detail->approval;
  const std::vector<std::string> anybody = {"role:operator", "role:admin"};
  const std::string command = "maestro approve " + to_string(run.id) + " " + job.key;
  std::vector<Lifter> lifters;
  for (const std::string& who : approval.request.by.empty() ? anybody : approval.request.by) {
    const bool voted =
        std::any_of(approval.votes.begin(), approval.votes.end(),
                    [&](const engine::Vote& vote) { return who == "user:" + vote.by; });
    const bool own = !approval.request.self && who == "user:" + run.facts.actor;
    if (!voted && !own) lifters.push_back({.kind = "approver", .name = who, .command = command});
  }
  return lifters;
}

std::vector<Lifter> capacity_lifters(const Dispatcher& dispatcher, const JobWants& wants) {
  std::vector<Lifter> busy;
  std::vector<Lifter> draining;
  for (const auto& [id, worker] : dispatcher.workers()) {
    if (!may_take(worker, wants.labels, wants.resources)) continue;
    if (worker.draining) {
      draining.push_back({.kind = "operator",
                          .name = "who resumes " + worker.name,
                          .command = "maestro workers resume " + id});
    } else {
      busy.push_back({.kind = "worker", .name = worker.name});
    }
  }
  if (!busy.empty()) return busy;
  if (!draining.empty()) return draining;
  std::string has = wants.labels.empty() ? "" : " with [" + join(wants.labels, ", ") + "]";
  if (!wants.resources.empty()) has += " of " + to_text(wants.resources);
  const std::string labels = wants.labels.empty() ? "" : " --labels " + join(wants.labels, ",");
  return {{.kind = "operator",
           .name = "who starts a worker" + has,
           .command = "maestro worker" + labels}};
}

NodeIndex node_of(const engine::RunState& run, const engine::JobState& job) {
  return static_cast<NodeIndex>(&job - run.jobs.data());
}

// The open jobs that a pending one waits for.
std::vector<const engine::JobState*> open_needs(const engine::RunState& run,
                                                const engine::JobState& job) {
  std::vector<const engine::JobState*> open;
  const auto add = [&](const engine::JobState& need) {
    if (!is_final(need.status)) open.push_back(&need);
  };
  if (job.reason == Reason::matrix_limit && job.parent != engine::kNoNode) {
    for (const NodeIndex cell : run.jobs[job.parent].cells) {
      if (run.jobs[cell].status != JobStatus::pending) add(run.jobs[cell]);
    }
  } else if (job.phase == Phase::compensate) {
    const NodeIndex node = node_of(run, job);
    if (node > 0 && job.open_needs > 0) add(run.jobs[node - 1]);
  } else if (job.parent == engine::kNoNode) {
    const NodeIndex first = engine::first_node(run, job.phase);
    for (const JobIndex need : job.spec->needs) add(run.jobs[first + need]);
  }
  return open;
}

Instant since_of(const engine::RunState& run, const engine::JobState& job) {
  if (job.finished_at) return job.finished_at;
  if (job.since) return job.since;
  return job.ready_at ? job.ready_at : run.created_at;
}
}  // namespace

// One answer: what it found out about one wait serves the others.
class Core::Waits {
 public:
  Waits(Core& core, Instant now) : core_(core), now_(now) {}

  std::vector<Lifter> lifters(const engine::RunState& run, const engine::JobState& job) const {
    switch (job.reason) {
      case Reason::capacity: return capacity_lifters(core_.dispatcher_, wants_of(run, job));
      case Reason::approval: return approvers(run, job);
      case Reason::lock: return holders(job_group(run.facts.project, job.wait_detail));
      case Reason::signal:
        return {{.kind = "signal",
                 .name = job.wait_detail,
                 .command = "maestro signal " + to_string(run.id) + " " + job.wait_detail}};
      case Reason::child: return child(run, job);
      case Reason::timer:
      case Reason::backoff: return {{.kind = "time", .name = "the clock", .at = job.due}};
      case Reason::upstream:
      case Reason::matrix_limit: return needs(run, job);
      case Reason::cancel:
        return {{.kind = "worker", .name = job.worker},
                {.kind = "time", .name = "the clock", .at = job.due}};
      case Reason::none:
        if (job.status != JobStatus::running || job.worker.empty()) return {};
        return {{.kind = "worker", .name = job.worker}};
      case Reason::schedule:
      case Reason::quota:
      case Reason::policy:
      case Reason::worker:
      case Reason::settling: return {};
    }
    return {};
  }

  // Those that hold a concurrency group.
  std::vector<Lifter> holders(const std::string& group) const {
    std::vector<Lifter> lifters;
    for (const LockOwner& holder : core_.locks_.holders(group)) {
      const HotRun* run = core_.find_hot(holder.run);
      std::string name = "run #" + std::to_string(holder.number);
      if (run != nullptr && holder.node != kWholeRun)
        name += ", job " + run->state.jobs[holder.node].key;
      lifters.push_back({.kind = "run",
                         .name = std::move(name),
                         .run = holder.run,
                         .command = "maestro runs cancel " + to_string(holder.run)});
    }
    return lifters;
  }

  // How much longer the wait of a job is, as history has it; nullopt: history does not know.
  std::optional<Estimate> wait_of(const engine::RunState& run, const engine::JobState& job,
                                  int depth = 0) {
    switch (job.reason) {
      case Reason::capacity: return wait_for_slot(run, job, depth);
      case Reason::lock:
        return wait_for_lock(job_group(run.facts.project, job.wait_detail),
                             {run.facts.number, run.id, node_of(run, job)}, depth);
      case Reason::approval:
      case Reason::signal:
      case Reason::child:
      case Reason::none: return rest_of_job(run, job);
      case Reason::timer:
      case Reason::backoff: return known(job.due);
      case Reason::upstream: return wait_for_needs(run, job, depth);
      case Reason::matrix_limit: return wait_for_cells(run, job, depth);
      case Reason::cancel:
      case Reason::schedule:
      case Reason::quota:
      case Reason::policy:
      case Reason::worker:
      case Reason::settling: return std::nullopt;
    }
    return std::nullopt;
  }

  std::optional<Estimate> wait_of(const engine::RunState& run) {
    return wait_for_lock(run_group(run.facts.project, run.facts.lock_group),
                         {run.facts.number, run.id, kWholeRun}, 0);
  }

 private:
  std::vector<Lifter> child(const engine::RunState& run, const engine::JobState& job) const {
    const Uuid id = child_id(run, node_of(run, job), job.attempt);
    const HotRun* open = core_.find_hot(id);
    if (open == nullptr) return {};
    return {{.kind = "run",
             .name = "run #" + std::to_string(open->state.facts.number),
             .run = id,
             .command = "maestro runs cancel " + to_string(id)}};
  }

  std::vector<Lifter> needs(const engine::RunState& run, const engine::JobState& job) const {
    if (!run.phase_begun) return holders(run_group(run.facts.project, run.facts.lock_group));
    std::vector<Lifter> lifters;
    for (const engine::JobState* need : open_needs(run, job))
      lifters.push_back({.kind = "job", .name = need->key});
    return lifters;
  }

  std::optional<engine::RunState> read_back(Uuid id) {
    const auto stored = core_.store_.load_run(id);
    if (!stored || !*stored) return std::nullopt;
    Result<engine::RunState> state = core_.rebuild(**stored);
    if (!state) return std::nullopt;
    return std::move(*state);
  }

  // What history has of a workflow; nullptr: nothing can be known for this answer.
  const History::Workflow* history_of(const engine::RunState& run) {
    const std::string& workflow = run.facts.workflow;
    if (workflow.empty()) return nullptr;  // others without a name are not the same
    if (const auto* known = core_.history_.find(run.facts.project, workflow)) return known;
    if (++read_ > kWorkflowsReadMax) return nullptr;
    const auto rows = core_.store_.list_runs(
        {.project = run.facts.project, .workflow = workflow, .limit = kRowsReadMax});
    if (!rows) return nullptr;
    History::Workflow& history = core_.history_.open(run.facts.project, workflow);
    std::size_t taken = 0;
    std::int64_t nodes = 0;
    std::vector<engine::RunState> whole;
    for (const db::RunRow& row : *rows) {
      if (row.status != RunStatus::succeeded || taken == History::kRunsMax) continue;
      const Result<Value> shown = parse_json(row.json);
      const Value* jobs = shown ? shown->find("jobs") : nullptr;
      if (jobs == nullptr || jobs->int_or("reused", 0) > 0) continue;
      ++taken;
      nodes += jobs->int_or("total", 0);
      auto state = nodes <= kNodesReadMax ? read_back(row.id) : std::nullopt;
      state ? whole.push_back(std::move(*state))
            : void(history.add(row.number, Millis(shown->int_or("duration_ms", 0))));
    }
    for (auto state = whole.rbegin(); state != whole.rend(); ++state) history.add(*state);
    return &history;
  }

  std::optional<Estimate> usual(const engine::RunState& run) {
    const History::Workflow* history = history_of(run);
    return history == nullptr ? std::nullopt : history->whole();
  }
  std::optional<Estimate> usual(const engine::RunState& run, const engine::JobState& job) {
    const History::Workflow* history = history_of(run);
    return history == nullptr ? std::nullopt : history->job(job.key);
  }
  std::optional<Estimate> rest_of_job(const engine::RunState& run, const engine::JobState& job) {
    const auto whole = usual(run, job);
    if (!whole) return std::nullopt;
    return rest_of(*whole, job.started_at, now_);
  }
  Estimate known(Instant until) const {
    return {std::max(Millis(0), until - now_), Estimate::kKnown};
  }

  // Until a job is over.
  std::optional<Estimate> end_of(const engine::RunState& run, const engine::JobState& job,
                                 int depth) {
    if (is_final(job.status)) return known(now_);
    const std::pair<Uuid, NodeIndex> key{run.id, node_of(run, job)};
    if (const auto found = ends_.find(key); found != ends_.end()) return found->second;
    if (depth > kDepthMax) return std::nullopt;
    const bool works = job.status == JobStatus::running || job.status == JobStatus::waiting;
    std::optional<Estimate> end;
    if (job.reason == Reason::timer) {
      end = known(job.due);
    } else if (works && job.reason != Reason::lock) {
      end = rest_of_job(run, job);
    } else if (const auto takes = usual(run, job)) {
      const auto waits = wait_of(run, job, depth + 1);
      if (waits) end = *waits + *takes;
    }
    return ends_[key] = end;
  }

  std::optional<Estimate> wait_for_needs(const engine::RunState& run, const engine::JobState& job,
                                         int depth) {
    Estimate latest = known(now_);
    if (!run.phase_begun) {
      const auto begins = wait_of(run);
      if (!begins) return std::nullopt;
      latest = *begins;
    }
    for (const engine::JobState* need : open_needs(run, job)) {
      const auto end = end_of(run, *need, depth + 1);
      if (!end) return std::nullopt;
      latest = later_of(latest, *end);
    }
    return latest;
  }

  std::optional<Estimate> wait_for_cells(const engine::RunState& run, const engine::JobState& job,
                                         int depth) {
    std::vector<Estimate> at_work;
    for (const engine::JobState* cell : open_needs(run, job)) {
      if (const auto end = end_of(run, *cell, depth + 1)) at_work.push_back(*end);
    }
    std::vector<Estimate> ahead;
    for (const NodeIndex node : run.jobs[job.parent].cells) {
      const engine::JobState& cell = run.jobs[node];
      if (&cell == &job) break;
      if (cell.status != JobStatus::pending) continue;
      const auto takes = usual(run, cell);
      if (!takes) return std::nullopt;
      ahead.push_back(*takes);
    }
    return wait_behind(at_work, ahead);
  }

  // Earlier runs are given a group first, as conductor/locks.h says.
  std::optional<Estimate> wait_for_lock(const std::string& group, const LockOwner& owner,
                                        int depth) {
    std::vector<Estimate> held;
    for (const LockOwner& holder : core_.locks_.holders(group)) {
      const HotRun* run = core_.find_hot(holder.run);
      if (run == nullptr) continue;
      const auto end = holder.node == kWholeRun
                           ? usual(run->state)
                           : end_of(run->state, run->state.jobs[holder.node], depth + 1);
      if (!end) continue;
      held.push_back(holder.node == kWholeRun ? rest_of(*end, run->state.started_at, now_) : *end);
    }
    std::vector<Estimate> ahead;
    for (const LockOwner& other : core_.locks_.waiting(group)) {
      if (!(other < owner)) break;
      const HotRun* run = core_.find_hot(other.run);
      if (run == nullptr) continue;
      const auto takes = other.node == kWholeRun ? usual(run->state)
                                                 : usual(run->state, run->state.jobs[other.node]);
      if (!takes || ahead.size() == kAheadMax) return std::nullopt;
      ahead.push_back(*takes);
    }
    return wait_behind(held, ahead);
  }

  // Whether a worker has no room for a job that it could take.
  bool is_full(const WorkerInfo& worker, const Resources& wanted) const {
    return worker.running >= worker.slots ||
           !suffices(worker.resources, core_.dispatcher_.all_in_use(worker), wanted);
  }

  std::optional<Estimate> wait_for_slot(const engine::RunState& run, const engine::JobState& job,
                                        int depth) {
    const JobWants wants = wants_of(run, job);
    std::set<std::string> busy;
    for (const auto& [id, worker] : core_.dispatcher_.workers()) {
      const bool silent = worker.last_seen + core_.options_.lease < now_;
      if (worker.draining || !may_take(worker, wants.labels, wants.resources)) continue;
      if (silent && !core_.is_polling(worker, now_)) continue;
      if (!is_full(worker, wants.resources)) return std::nullopt;  // it is not slots that lack
      busy.insert(worker.name);
    }
    std::vector<Estimate> held;
    for (const auto& [key, lease] : core_.leases_) {
      const HotRun* other = busy.contains(lease.job.worker) ? core_.find_hot(key.run) : nullptr;
      if (other == nullptr) continue;
      const auto end = end_of(other->state, other->state.jobs[key.node], depth + 1);
      if (end) held.push_back(*end);
    }
    const auto others = core_.dispatcher_.ahead_of(wants, run.id, node_of(run, job), kAheadMax);
    if (held.empty() || !others) return std::nullopt;
    std::vector<Estimate> ahead;
    for (const ReadyJob& ready : *others) {
      const HotRun* other = core_.find_hot(ready.run);
      if (other == nullptr || other->state.jobs[ready.node].status != JobStatus::ready) continue;
      const auto takes = usual(other->state, other->state.jobs[ready.node]);
      if (!takes) return std::nullopt;
      ahead.push_back(*takes);
    }
    return wait_behind(held, ahead);
  }

  Core& core_;
  const Instant now_;
  int read_ = 0;
  std::map<std::pair<Uuid, NodeIndex>, std::optional<Estimate>> ends_;
};

void Core::why(const auth::Principal& by, Uuid id, const std::string& key, Instant now,
               Done<std::string> done) {
  const auto found = find_run(by, id);
  if (!found) return done(found.error());
  const engine::RunState& run = **found;
  if (!key.empty() && engine::find_job(run, key) == nullptr) {
    return done(Error{Code::job_not_found, "the run has no job " + key, {}});
  }
  Waits waits(*this, now);
  JsonWriter out;
  out.open('{').field("run", id).field("status", to_name(shown_status(run)));
  out.text_or_null("message", run.message).key("items").open('[');
  if (run.status == RunStatus::waiting && !run.phase_begun) {
    out.open('{').key("job").null().field("status", "waiting").field("reason", "lock");
    const std::string group = run_group(run.facts.project, run.facts.lock_group);
    std::string text = "the concurrency group " + run.facts.lock_group + ", held by";
    for (const LockOwner& holder : locks_.holders(group)) {
      text += " run #" + std::to_string(holder.number);
    }
    out.field("waits_for", text).field("since", run.created_at).field("until", run.deadline);
    write(out, waits.holders(group));
    write(out, waits.wait_of(run));
    out.close('}');
  }
  std::size_t shown = 0;
  for (const engine::JobState& job : run.jobs) {
    const bool over = is_final(job.status);
    const bool asked = key.empty() ? !over || engine::is_bad(job) : job.key == key;
    if (!asked || !engine::is_listed(run, job) || ++shown > kWhyShownMax) continue;
    out.open('{').field("job", job.key).field("status", to_name(job.status));
    out.text_or_null("reason", job.reason == Reason::none ? "" : to_name(job.reason));
    const JobWants wants = job.reason == Reason::capacity ? wants_of(run, job) : JobWants{};
    out.field("waits_for", over ? job.message : wait_text(run, job, wants, locks_, dispatcher_));
    out.field("since", since_of(run, job)).field("until", job.due);
    write(out, over ? std::vector<Lifter>{} : waits.lifters(run, job));
    write(out, over ? std::nullopt : waits.wait_of(run, job));
    out.close('}');
  }
  done(out.close(']').close('}').take());
}
}  // namespace mc::conductor
