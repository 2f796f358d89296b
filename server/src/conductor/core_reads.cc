#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "conductor/core.h"
#include "conductor/render.h"
#include "engine/conditions.h"
#include "wire/event_codec.h"

namespace mc::conductor {
namespace {
constexpr std::size_t kApprovalsShownMax = 1000;
constexpr std::size_t kWhyShownMax = 200;

constexpr std::size_t kWorkersNamedMax = 5;

// "a, b and 3 more".
std::string name_some(const std::vector<std::string>& texts) {
  const std::size_t shown = std::min(texts.size(), kWorkersNamedMax);
  std::string text =
      join({texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(shown)}, ", ");
  if (shown < texts.size()) text += " and " + std::to_string(texts.size() - shown) + " more";
  return text;
}

// "1 of 4 slots, 3 CPUs of 4 CPUs in use".
std::string load_text(const Dispatcher& dispatcher, const WorkerInfo& worker,
                      const Resources& wanted) {
  std::string text =
      std::to_string(worker.running) + " of " + std::to_string(worker.slots) + " slots";
  const Resources used = dispatcher.in_use(worker.name);
  if (!suffices(worker.resources, used, wanted))
    text += ", " + to_text(used) + " of " + to_text(worker.resources) + " in use";
  return text;
}

std::string lack_text(const WorkerInfo& worker, const JobWants& wants) {
  const std::vector<std::string> lacks = labels_lacking(worker, wants.labels);
  if (!lacks.empty()) return worker.name + " lacks " + join(lacks, ", ");
  if (!suffices(worker.resources, {}, wants.resources))
    return worker.name + " has " + to_text(worker.resources) + " in all";
  return "";
}

// Which workers a ready job waits for, and what keeps each of them from taking it.
std::string capacity_text(const Dispatcher& dispatcher, const JobWants& wants) {
  std::vector<std::string> busy;
  std::vector<std::string> draining;
  std::vector<std::string> lacking;
  for (const auto& [id, worker] : dispatcher.workers()) {
    std::string lacks = lack_text(worker, wants);
    if (!lacks.empty()) {
      lacking.push_back(std::move(lacks));
    } else if (worker.draining) {
      draining.push_back(worker.name + " (`maestro workers resume " + id + "`)");
    } else {
      busy.push_back(worker.name + " (" + load_text(dispatcher, worker, wants.resources) + ")");
    }
  }
  std::string needs = wants.labels.empty() ? "" : "the labels [" + join(wants.labels, ", ") + "]";
  if (!wants.resources.empty()) needs += (needs.empty() ? "" : " and ") + to_text(wants.resources);
  const std::string with = needs.empty() ? "" : " with " + needs;
  const std::string order =
      wants.priority == 0 ? "" : "; its priority is " + std::to_string(wants.priority);
  if (!busy.empty()) return "every worker" + with + " is busy: " + name_some(busy) + order;
  if (!draining.empty()) return "every worker" + with + " is draining: " + name_some(draining);
  if (needs.empty()) return "no worker is registered; start one with `maestro worker`";
  const std::string labels = wants.labels.empty() ? "" : " --labels " + join(wants.labels, ",");
  return "no registered worker has " + needs + "; start one with `maestro worker" + labels + "`" +
         (lacking.empty() ? "" : "; " + name_some(lacking));
}

// Which part of the outside an open job waits for, and who can help.
std::string wait_text(const engine::RunState& run, const engine::JobState& job,
                      const LockTable& locks, const Dispatcher& dispatcher) {
  switch (job.reason) {
    case Reason::capacity: return capacity_text(dispatcher, wants_of(run, job));
    case Reason::approval:
      return "an approval by " +
             (job.detail->approval->request.by.empty()
                  ? std::string("any operator or admin")
                  : join(job.detail->approval->request.by, " or ")) +
             "; `maestro approve " + to_string(run.id) + " " + job.key + "`";
    case Reason::lock: {
      std::string text = "the concurrency group " + job.wait_detail + ", held by";
      for (const LockOwner& holder : locks.holders(job_group(run.facts.project, job.wait_detail))) {
        text += " run #" + std::to_string(holder.number);
      }
      return text;
    }
    case Reason::signal:
      return "the signal " + job.wait_detail + "; `maestro signal " + to_string(run.id) + " " +
             job.wait_detail + "`";
    case Reason::child: return "the child run of workflow " + job.wait_detail;
    case Reason::timer: return "the clock";
    case Reason::backoff: return "its next attempt, after: " + job.message;
    case Reason::upstream:
      return "the jobs it needs: " + std::to_string(job.open_needs) + " not over yet";
    case Reason::matrix_limit: return "max_parallel of its matrix";
    case Reason::cancel: return "the worker " + job.worker + " to stop it";
    case Reason::none: return job.status == JobStatus::running ? "it runs on " + job.worker : "";
    case Reason::schedule:
    case Reason::quota:
    case Reason::policy:
    case Reason::worker:
    case Reason::settling: return std::string(to_name(job.reason));
  }
  return "";
}
}  // namespace

void Core::read(const auth::Principal& by, Uuid id,
                const std::function<Result<std::string>(const engine::RunState&)>& show,
                Done<std::string> done) {
  const auto found = find_run(by, id);
  if (!found) return done(found.error());
  Result<std::string> shown = show(**found);
  HotRun* hot = find_hot(id);
  if (!shown || hot == nullptr) return done(std::move(shown));
  // What it shows may not be on the disk yet.
  reply_after_commit([done = std::move(done), shown = std::move(shown)](const Status& status) {
    status ? done(shown) : done(status.error());
  });
}

void Core::run(const auth::Principal& by, Uuid id, Done<RunView> done) {
  const auto found = find_run(by, id);
  if (!found) return done(found.error());
  RunView shown = view(**found);
  if (find_hot(id) == nullptr) return done(std::move(shown));
  reply_after_commit([done = std::move(done), shown = std::move(shown)](const Status& status) {
    status ? done(shown) : done(status.error());
  });
}

void Core::wait_run(const auth::Principal& by, Uuid id, Instant until, Done<RunView> done) {
  const auto found = find_run(by, id);
  if (!found) return done(found.error());
  HotRun* hot = find_hot(id);
  if (hot == nullptr) return done(view(**found));
  const std::uint64_t ticket = next_ticket_++;
  hot->waiters.push_back(ticket);
  const auto waiter = run_waiters_.try_emplace(ticket, id, std::move(done), ticket).first;
  timers_.arm(waiter->second.timer, until);
}

void Core::log_target(const auth::Principal& by, Uuid id, const std::string& key, int attempt,
                      Done<LogTarget> done) {
  const auto found = find_run(by, id);
  if (!found) return done(found.error());
  const auto node = (*found)->by_key.find(key);
  if (node == (*found)->by_key.end()) {
    std::vector<std::string> keys;
    for (const engine::JobState& job : (*found)->jobs) keys.push_back(job.key);
    const auto near = nearest(key, keys);
    return done(Error{Code::job_not_found,
                      "the run has no job " + key + (near ? "; did you mean " + *near + "?" : ""),
                      {}});
  }
  const engine::JobState& job = (*found)->jobs[node->second];
  if (attempt < 0 || attempt > job.attempt) {
    return done(Error{Code::job_not_found, key + " has no attempt " + std::to_string(attempt), {}});
  }
  done(LogTarget{id, node->second, key, attempt > 0 ? attempt : std::max(1, job.attempt)});
}

void Core::approvals(const auth::Principal& by, const std::string& status, Done<std::string> done) {
  JsonWriter out;
  out.open('{').key("items").open('[');
  std::size_t shown = 0;
  for (const auto& [id, key] : approvals_) {
    const HotRun* run = find_hot(key.run);
    if (run == nullptr || run->state.facts.project != by.project) continue;
    const engine::JobState& job = run->state.jobs[key.node];
    if (!fits_status(job, status)) continue;
    if (++shown > kApprovalsShownMax) break;
    out.raw(approval_json(run->state, job));
  }
  out.close(']').key("next_cursor").null().close('}');
  reply_after_commit([done = std::move(done), shown = out.take()](const Status& result) {
    result ? done(shown) : done(result.error());
  });
}

void Core::why(const auth::Principal& by, Uuid id, const std::string& key, Done<std::string> done) {
  const auto found = find_run(by, id);
  if (!found) return done(found.error());
  const engine::RunState& run = **found;
  if (!key.empty() && engine::find_job(run, key) == nullptr) {
    return done(Error{Code::job_not_found, "the run has no job " + key, {}});
  }
  JsonWriter out;
  out.open('{').field("run", id).field("status", to_name(shown_status(run)));
  out.text_or_null("message", run.message).key("items").open('[');
  if (run.status == RunStatus::waiting && !run.phase_begun) {
    out.open('{').key("job").null().field("status", "waiting").field("reason", "lock");
    std::string text = "the concurrency group " + run.facts.lock_group + ", held by";
    for (const LockOwner& holder :
         locks_.holders(run_group(run.facts.project, run.facts.lock_group))) {
      text += " run #" + std::to_string(holder.number);
    }
    out.field("waits_for", text)
        .field("since", run.created_at)
        .field("until", run.deadline)
        .close('}');
  }
  std::size_t shown = 0;
  for (const engine::JobState& job : run.jobs) {
    const bool tells = !is_final(job.status) || engine::is_bad(job);
    const bool asked = key.empty() ? tells : job.key == key;
    if (!asked || !engine::is_listed(run, job) || ++shown > kWhyShownMax) continue;
    out.open('{').field("job", job.key).field("status", to_name(job.status));
    out.text_or_null("reason", job.reason == Reason::none ? "" : to_name(job.reason));
    out.field("waits_for",
              is_final(job.status) ? job.message : wait_text(run, job, locks_, dispatcher_));
    out.field("since", job.finished_at ? job.finished_at
                       : job.ready_at  ? job.ready_at
                                       : run.created_at);
    out.field("until", job.due).close('}');
  }
  done(out.close(']').close('}').take());
}

void Core::events(const auth::Principal& by, Uuid id, std::int64_t after, int limit,
                  Done<std::vector<FeedEvent>> done) {
  std::vector<FeedEvent> feed;
  const auto add = [&](std::int64_t position, Uuid run, const db::EventGroup& group) -> Status {
    Result<std::vector<Event>> events = wire::decode_events(group.payload);
    if (!events) return events.error();
    for (Event& event : *events) {
      const bool old = id && event.seq <= after;
      if (old || (id && static_cast<int>(feed.size()) >= limit)) continue;
      std::string json = event_json(run, event);
      feed.push_back({position, run, std::move(event), std::move(json)});
    }
    return {};
  };
  if (id) {
    const auto found = find_run(by, id);
    if (!found) return done(found.error());
    const auto groups = store_.read_events(id, after, limit);
    if (!groups) return done(groups.error());
    for (const db::EventGroup& group : *groups) {
      if (const Status added = add(0, id, group); !added) return done(added.error());
    }
    return done(std::move(feed));
  }
  const auto groups = store_.read_feed(after, limit);
  if (!groups) return done(groups.error());
  for (const db::FeedGroup& group : *groups) {
    const auto run = find_run(by, group.run);
    if (!run && run.error().code == Code::store_failed) return done(run.error());
    if (!run) continue;  // deleted since, or of another project
    if (const Status added = add(group.position, group.run, group.events); !added)
      return done(added.error());
  }
  done(std::move(feed));
}

void Core::subscribe(std::uint64_t ticket, const auth::Principal& by, Uuid run,
                     std::function<void(const FeedEvent&)> listener) {
  subscribers_.emplace(ticket, Subscriber{by.project, run, std::move(listener)});
}

void Core::unsubscribe(std::uint64_t ticket) { subscribers_.erase(ticket); }
}  // namespace mc::conductor
