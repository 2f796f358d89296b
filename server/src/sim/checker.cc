#include "sim/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "base/text.h"
#include "conductor/locks.h"
#include "conductor/records.h"
#include "conductor/render.h"
#include "conductor/snapshot.h"
#include "engine/apply.h"
#include "engine/invariants.h"
#include "lang/parse.h"
#include "wire/event_codec.h"

namespace mc::sim {
namespace {
constexpr int kAllEvents = 1 << 20;
constexpr Millis kTakeBackMax{60'000};  // beyond the end of a lease

bool is_held(const engine::JobState& job) {
  return job.status == JobStatus::running || job.status == JobStatus::cancelling;
}

// "RUN.NODE.ATTEMPT", as the conductor names tasks.
std::optional<std::pair<Uuid, NodeIndex>> parse_task(const std::string& task_id) {
  const std::vector<std::string> parts = split(task_id, '.');
  if (parts.size() != 3) return std::nullopt;
  const auto run = parse_uuid(parts[0]);
  NodeIndex node = 0;
  std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), node);
  if (!run) return std::nullopt;
  return std::pair(*run, node);
}

// Where two texts part.
std::string difference(const std::string& a, const std::string& b) {
  const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
  const auto from = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, at - 60));
  return "…" + a.substr(from, 120) + "… / …" + b.substr(from, 120) + "…";
}

std::string label_of(const engine::RunState& run, std::string_view name) {
  for (const auto& [key, value] : run.facts.labels) {
    if (key == name) return value;
  }
  return "";
}
}  // namespace

void Checker::violated(std::string what) {
  if (!violation_.empty()) return;
  violation_ = fmt::format("{}: {}", to_rfc3339(timeline_.now()), std::move(what));
}

void Checker::note(const std::string& what) const {
  if (trace_) trace_(to_rfc3339(timeline_.now()) + " " + what);
}

// --- the log ---

void Checker::durable(const db::Batch& batch) {
  for (const db::RecordPut& put : batch.records) {
    if (put.kind != conductor::kDefinitionKind || !put.json) continue;
    if (definitions_.contains(put.key)) continue;
    const auto body = parse_json(*put.json);
    lang::Parsed parsed = lang::parse_workflow(body->string_or("text", ""));
    if (!parsed.ok()) return violated("a definition with errors became durable");
    definitions_.emplace(put.key, engine::make_definition(std::move(parsed.spec)));
  }
  for (const db::RunWrite& run : batch.runs) write(run);
  limits();
}

void Checker::durable(const db::Batch& batch, std::int64_t epoch, const std::string& holder) {
  const std::string& known = holders_.emplace(epoch, holder).first->second;
  if (known != holder)
    violated(fmt::format("{} and {} commit under epoch {}", known, holder, epoch));
  if (epoch != epoch_)
    violated(fmt::format("{} commits under epoch {}, the lease has {}", holder, epoch, epoch_));
  durable(batch);
}

void Checker::leads(std::int64_t epoch) {
  if (epoch <= epoch_) violated(fmt::format("epoch {} comes after {}", epoch, epoch_));
  epoch_ = epoch;
}

void Checker::speaks(std::int64_t epoch) {
  if (epoch != epoch_)
    violated(
        fmt::format("a replica answers that led under epoch {}, the lease has {}", epoch, epoch_));
}

void Checker::write(const db::RunWrite& write) {
  const std::string name = to_string(write.run);
  if (write.events) {
    for (const char byte : write.events->payload)
      fingerprint_ = (fingerprint_ ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  }
  const auto events = write.events ? wire::decode_events(write.events->payload)
                                   : Result<std::vector<Event>>(std::vector<Event>{});
  if (!events) return violated("run " + name + ": unreadable events");
  if (!shadows_.contains(write.run)) {
    const auto* facts = events->empty() ? nullptr : std::get_if<RunQueued>(&events->front().body);
    if (facts == nullptr) return violated("run " + name + " begins without run.queued");
    const auto definition = definitions_.find(facts->digest);
    if (definition == definitions_.end())
      return violated("run " + name + " became durable before its definition");
    shadows_.emplace(
        write.run,
        Shadow{.state = engine::empty_run(write.run, definition->second), .rules = {}, .log = {}});
    open_.insert(write.run);
  }
  Shadow& shadow = shadows_.at(write.run);
  if (write.expected_seq != shadow.state.seq)
    return violated(fmt::format("run {}: a write builds on event {}, the log ends with {}", name,
                                write.expected_seq, shadow.state.seq));
  for (const Event& event : *events) {
    if (trace_) note(name + " " + conductor::event_json(write.run, event));
    one_event(shadow.state, event);
    if (const auto broken = shadow.rules.broken_by(shadow.state, event))
      return violated(fmt::format("run {}, event {}: {}", name, event.seq, *broken));
    auto next = engine::replay_on(std::move(shadow.state), {event});
    if (!next) return violated("run " + name + ": " + next.error().message);
    shadow.state = std::move(*next);
    shadow.log.push_back(event);
    ++events_;
  }
  if (const auto wrong = engine::violation(shadow.state))
    return violated(fmt::format("run {} after event {}: {}", name, shadow.state.seq, *wrong));
  if (is_final(shadow.state.status) && open_.erase(write.run) > 0) final_.push_back(write.run);
  shadow.deleted = shadow.deleted || write.row.deleted_at;
  compare(shadow, write);
}

void Checker::one_event(const engine::RunState& before, const Event& event) {
  const std::string name = to_string(before.id);
  if (is_final(before.status))
    return violated("run " + name + ": " + std::string(type_of(event)) + " after its end");
  if (const auto* queued = std::get_if<RunQueued>(&event.body)) {
    const std::string schedule = queued->trigger.string_or("schedule", "");
    const std::string fire = schedule + " " + queued->trigger.string_or("scheduled_at", "") + " " +
                             queued->trigger.string_or("kind", "");
    if (!schedule.empty() && !queued->rerun_of && !fires_.insert(fire).second)
      violated("two runs for one fire of schedule " + fire);
  } else if (const auto* started = std::get_if<JobStarted>(&event.body)) {
    const bool fresh =
        grants_
            .emplace(GrantKey{before.id, started->node, started->fence},
                     Grant{.worker_id = {}, .lease_end = std::max(event.time, recovered_) + lease_})
            .second;
    if (!fresh) violated("run " + name + ": a fence of " + started->job + " was given twice");
    if (is_held(before.jobs.at(started->node)))
      violated("run " + name + ": " + started->job + " was granted while somebody holds it");
  } else if (const auto* finished = std::get_if<JobFinished>(&event.body)) {
    if (is_final(before.jobs.at(finished->node).status))
      violated("run " + name + ": " + finished->job + " finished twice");
  } else if (const auto* signal = std::get_if<SignalReceived>(&event.body)) {
    if (signal->data.is_string()) signals_.insert(signal->data.as_string());
  } else if (const auto* vote = std::get_if<ApprovalDecided>(&event.body)) {
    votes_.insert(vote->comment);
  }
}

// The projection beside the log is what the log gives, whether read whole or from a snapshot.
void Checker::compare(const Shadow& shadow, const db::RunWrite& write) {
  const std::string name = to_string(write.run);
  if (write.row.json != conductor::run_json(shadow.state))
    violated("run " + name + ": its row is not what its log gives: " + write.row.json + " / " +
             conductor::run_json(shadow.state));
  if (!write.snapshot) return;
  const auto read = conductor::decode_snapshot(write.run, shadow.state.definition, *write.snapshot);
  if (!read) return violated("run " + name + ": unreadable snapshot");
  if (const auto wrong = engine::violation(*read))
    return violated("run " + name + " from its snapshot: " + *wrong);
  const std::string kept = conductor::encode_snapshot(*read);
  const std::string given = conductor::encode_snapshot(shadow.state);
  if (kept != given)
    violated("run " + name +
             ": its snapshot is not what its log gives: " + difference(kept, given));
}

// --- limits ---

void Checker::limits() {
  if (static_cast<int>(open_.size()) > open_runs_max_)
    violated(fmt::format("{} runs are open, {} may be", open_.size(), open_runs_max_));
  for (const Uuid id : open_) {
    const engine::RunState& run = shadows_.at(id).state;
    for (const engine::JobState& job : run.jobs) {
      if (!job.group || job.spec->max_parallel == 0) continue;
      const auto busy = std::ranges::count_if(
          job.cells, [&](NodeIndex cell) { return is_held(run.jobs.at(cell)); });
      if (busy > job.spec->max_parallel)
        violated("run " + to_string(id) + ": more cells of " + job.key +
                 " run than max_parallel says");
    }
  }
  concurrency();
  run_keys();
}

void Checker::concurrency() {
  std::map<std::string, std::pair<int, int>> groups;  // holders, limit
  for (const Uuid id : open_) {
    const engine::RunState& run = shadows_.at(id).state;
    const auto& own = run.definition->spec.concurrency;
    if (!run.facts.lock_group.empty() && run.phase_begun) {
      auto& [holders, limit] = groups[conductor::run_group("", run.facts.lock_group)];
      ++holders;
      limit = own->limit;
    }
    for (const engine::JobState& job : run.jobs) {
      if (!job.holds_lock || is_final(job.status)) continue;
      auto& [holders, limit] = groups[conductor::job_group("", job.wait_detail)];
      ++holders;
      limit = job.spec->concurrency->limit;
    }
  }
  for (const auto& [group, use] : groups) {
    if (use.first > use.second)
      violated(fmt::format("concurrency group {} has {} holders, {} may be", group, use.first,
                           use.second));
  }
}

void Checker::run_keys() {
  std::set<std::string> keys;
  for (const Uuid id : open_) {
    const engine::RunState& run = shadows_.at(id).state;
    if (run.facts.run_key.empty() || run.cancel_requested) continue;
    if (!keys.insert(run.facts.run_key).second)
      violated("two open runs have the key " + run.facts.run_key);
  }
}

// --- what was said ---

Checker::Shadow* Checker::find_shadow(Uuid run) {
  const auto found = shadows_.find(run);
  return found == shadows_.end() ? nullptr : &found->second;
}
const engine::RunState* Checker::find(Uuid run) const {
  const auto found = shadows_.find(run);
  return found == shadows_.end() ? nullptr : &found->second.state;
}

void Checker::recovered(Instant now) {
  note("the server reads everything back");
  recovered_ = now;
  for (auto& [key, grant] : grants_) grant.lease_end = std::max(grant.lease_end, now + lease_);
}

void Checker::refused_commit(const Error& error) {
  violated("the store refused a commit that nothing spoiled: " + error.message);
}

void Checker::started(const conductor::RunView& view, const std::string& request) {
  if (find_shadow(view.id) == nullptr)
    return violated("run " + to_string(view.id) + " was acknowledged before it was durable");
  const auto [known, fresh] = requests_.emplace(request, view.id);
  if (known->second != view.id) violated("request " + request + " was answered with two runs");
}

void Checker::shown(const conductor::RunView& view) {
  const Shadow* shadow = find_shadow(view.id);
  if (shadow == nullptr)
    return violated("run " + to_string(view.id) + " was shown before it was durable");
  // The ETag is the last event's number.
  if (view.etag.empty()) return;
  const std::string seq = view.etag.substr(1, view.etag.size() - 2);
  std::int64_t shown = 0;
  std::from_chars(seq.data(), seq.data() + seq.size(), shown);
  if (shown > shadow->state.seq)
    violated("run " + to_string(view.id) + " was shown with events that are not durable");
}

void Checker::acknowledged_cancel(Uuid run) {
  const Shadow* shadow = find_shadow(run);
  if (shadow == nullptr || (!shadow->state.cancel_requested && !is_final(shadow->state.status)))
    violated("a cancel of " + to_string(run) + " was acknowledged and is not in the log");
}
void Checker::acknowledged_signal(const std::string& token) {
  if (!signals_.contains(token))
    violated("signal " + token + " was acknowledged and is not in the log");
}
void Checker::acknowledged_vote(const std::string& token) {
  if (!votes_.contains(token))
    violated("vote " + token + " was acknowledged and is not in the log");
}
void Checker::acknowledged_delete(Uuid run) {
  const Shadow* shadow = find_shadow(run);
  if (shadow == nullptr || !shadow->deleted)
    violated("the deletion of " + to_string(run) + " was acknowledged and is not in the store");
}

void Checker::acknowledged_workflow(const conductor::WorkflowVersion& version, db::Store& store) {
  const auto record = store.get_record(
      conductor::kVersionKind, fmt::format("default/{}/{:010}", version.name, version.version));
  if (!record || !*record || (*record)->json.find(version.digest) == std::string::npos)
    violated(fmt::format("version {} of {} was acknowledged and is not in the store",
                         version.version, version.name));
}

Checker::Grant* Checker::find_grant(const std::string& task_id, std::int64_t fence) {
  const auto task = parse_task(task_id);
  if (!task) return nullptr;
  const auto found = grants_.find({task->first, task->second, fence});
  return found == grants_.end() ? nullptr : &found->second;
}

void Checker::granted(const std::string& worker_id, const Task& task) {
  Grant* grant = find_grant(task.task_id, task.fence);
  if (grant == nullptr)
    return violated("task " + task.task_id + " was handed out before its grant was durable");
  if (!grant->worker_id.empty() && grant->worker_id != worker_id)
    violated("task " + task.task_id + " was handed to two workers under one fence");
  grant->worker_id = worker_id;
}

void Checker::settled(const std::string& task_id, std::int64_t fence, bool accepted) {
  if (!accepted) return;
  Grant* grant = find_grant(task_id, fence);
  if (grant == nullptr) return violated("a result was accepted for " + task_id + ", never granted");
  if (std::exchange(grant->over, true)) violated("a result of " + task_id + " was accepted twice");
  const auto task = parse_task(task_id);
  const engine::JobState& job = shadows_.at(task->first).state.jobs.at(task->second);
  if (job.fence == fence && is_held(job))
    violated("a result of " + task_id + " was accepted and is not in the log");
}

void Checker::renewed(const wire::TaskHold& hold, Instant now) {
  Grant* grant = find_grant(hold.task_id, hold.fence);
  if (grant == nullptr)
    return violated("a lease was renewed for " + hold.task_id + ", not granted");
  if (grant->lease_end <= now)
    violated("the lease of " + hold.task_id + " was renewed after its end");
  grant->lease_end = now + lease_;
}

void Checker::followed(const conductor::FeedEvent& event, std::int64_t last) {
  const Shadow* shadow = find_shadow(event.run);
  if (shadow == nullptr || shadow->state.seq < event.event.seq)
    return violated("a follower heard of an event that is not durable");
  const Event& stored = shadow->log.at(static_cast<std::size_t>(event.event.seq - 1));
  if (conductor::event_json(event.run, stored) != event.json)
    violated("a follower heard of an event that is another one in the log: " + event.json);
  if (last != 0 && event.event.seq != last + 1)
    violated(fmt::format("a follower of {} heard of event {} after {}", to_string(event.run),
                         event.event.seq, last));
}

void Checker::overdue(Instant now) {
  for (const auto& [key, grant] : grants_) {
    const auto& [run, node, fence] = key;
    if (grant.lease_end + kTakeBackMax > now) continue;
    const engine::JobState& job = shadows_.at(run).state.jobs.at(node);
    if (job.fence == fence && is_held(job))
      violated("the lease of " + job.key + " of run " + to_string(run) +
               " ended long ago, and nobody took the job back");
  }
}

// --- the end ---

void Checker::finish(db::Store& store, bool stuck) {
  if (stuck && !open_.empty()) {
    const engine::RunState& run = shadows_.at(*open_.begin()).state;
    violated(fmt::format("{} runs never end, for one {}", open_.size(), conductor::run_json(run)));
  }
  std::map<std::string, int> made;
  for (const auto& [id, shadow] : shadows_) {
    const auto groups = store.read_events(id, 0, kAllEvents);
    if (!groups) return violated("the log of " + to_string(id) + " cannot be read");
    std::vector<Event> history;
    for (const db::EventGroup& group : *groups) {
      const auto events = wire::decode_events(group.payload);
      if (!events) return violated("the log of " + to_string(id) + " cannot be decoded");
      history.insert(history.end(), events->begin(), events->end());
    }
    const auto state = engine::replay(id, shadow.state.definition, history);
    if (!state) return violated("the log of " + to_string(id) + ": " + state.error().message);
    if (conductor::encode_snapshot(*state) != conductor::encode_snapshot(shadow.state))
      violated("the log of " + to_string(id) + " is not what was committed");
    const std::string request = label_of(*state, "request");
    const bool first = !state->facts.rerun_of && !state->facts.parent;
    if (first && !request.empty() && ++made[request] > 1)
      violated("request " + request + " made two runs");
  }
}

void Checker::compare(conductor::Core& core, const std::string& who) {
  const auth::Principal reader{who, auth::Role::admin, "default", {}, who};
  for (const auto& [id, shadow] : shadows_) {
    if (shadow.deleted) continue;
    core.run(reader, id, [&](const Result<conductor::RunView>& view) {
      // A read that fails on purpose shows nothing, which is no contradiction.
      if (!view && view.error().code == Code::store_failed) return;
      if (!view || view->json != conductor::run_json(shadow.state))
        violated(who + " does not show run " + to_string(id) + " as the log has it");
    });
  }
}

Uuid Checker::any_open(Rng& rng) const {
  if (open_.empty()) return {};
  auto at = open_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(rng.below(open_.size())));
  return *at;
}
Uuid Checker::any_final(Rng& rng) const {
  return final_.empty() ? Uuid{} : final_[rng.below(final_.size())];
}

}  // namespace mc::sim
