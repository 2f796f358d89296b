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

namespace {
// Appends a group's events behind `after`, up to `limit` in `feed`.
Status append_events(std::int64_t position, Uuid run, const db::EventGroup& group,
                     std::int64_t after, std::size_t limit, std::vector<FeedEvent>& feed) {
  Result<std::vector<Event>> events = wire::decode_events(group.payload);
  if (!events) return events.error();
  for (Event& event : *events) {
    if (event.seq <= after || feed.size() >= limit) continue;
    std::string json = event_json(run, event);
    feed.push_back({position, run, std::move(event), std::move(json)});
  }
  return {};
}
}  // namespace

void Core::events(const auth::Principal& by, Uuid id, std::int64_t after, int limit,
                  Done<std::vector<FeedEvent>> done) {
  const auto found = find_run(by, id);
  if (!found) return done(found.error());
  const auto groups = store_.read_events(id, after, limit);
  if (!groups) return done(groups.error());
  std::vector<FeedEvent> feed;
  for (const db::EventGroup& group : *groups) {
    const Status added = append_events(0, id, group, after, static_cast<std::size_t>(limit), feed);
    if (!added) return done(added.error());
  }
  done(std::move(feed));
}

void Core::feed(const auth::Principal& by, const std::vector<db::FeedGroup>& groups,
                Done<std::vector<FeedEvent>> done) {
  std::vector<FeedEvent> feed;
  for (const db::FeedGroup& group : groups) {
    const auto run = find_run(by, group.run);
    if (!run && run.error().code == Code::store_failed) return done(run.error());
    if (!run) continue;  // deleted since, or of another project
    const Status added =
        append_events(group.position, group.run, group.events, INT64_MIN, SIZE_MAX, feed);
    if (!added) return done(added.error());
  }
  done(std::move(feed));
}

void Core::subscribe(std::uint64_t ticket, const auth::Principal& by, Uuid run,
                     std::function<void(const FeedEvent&)> listener) {
  subscribers_.emplace(ticket, Subscriber{by.project, run, std::move(listener)});
}

void Core::unsubscribe(std::uint64_t ticket) { subscribers_.erase(ticket); }
}  // namespace mc::conductor
