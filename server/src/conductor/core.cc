#include "conductor/core.h"

#include <algorithm>

#include "base/check.h"
#include "base/json.h"
#include "conductor/records.h"
#include "conductor/render.h"
#include "conductor/snapshot.h"
#include "db/shard.h"
#include "engine/apply.h"
#include "engine/invariants.h"
#include "lang/parse.h"
#include "wire/event_codec.h"

namespace mc::conductor {
namespace {
constexpr std::size_t kDefinitionsMax = 256;  // parsed definitions kept at hand
constexpr std::size_t kColdRunsMax = 64;      // finished runs kept for readers
constexpr Millis kWatchEvery{60'000};
constexpr Millis kAfterFailure{1000};  // timers rest after the store failed
}  // namespace

Core::Core(db::Store& store, Options options)
    : store_(store),
      records_(store),
      options_(std::move(options)),
      rng_(options_.seed != 0 ? options_.seed : random_seed()),
      dispatcher_(options_.project_weights) {}

// --- runs in memory ---

Core::HotRun* Core::find_hot(Uuid id) {
  const auto found = hot_.find(id);
  return found == hot_.end() ? nullptr : found->second.get();
}

Result<engine::DefinitionRef> Core::read_definition(const std::string& digest,
                                                    const std::string& text) {
  const auto known = definitions_.find(digest);
  if (known != definitions_.end()) return known->second;
  lang::Parsed parsed = lang::parse_workflow(text);
  if (!parsed.ok()) {
    return Error{Code::invalid_definition, "the definition has errors", std::move(parsed.errors)};
  }
  if (definitions_.size() >= kDefinitionsMax) {
    std::erase_if(definitions_, [](const auto& entry) { return entry.second.use_count() == 1; });
  }
  engine::DefinitionRef definition = engine::make_definition(std::move(parsed.spec));
  definitions_.emplace(digest, definition);
  return definition;
}

Result<engine::DefinitionRef> Core::find_definition(const std::string& digest) {
  const auto known = definitions_.find(digest);
  if (known != definitions_.end()) return known->second;
  const auto record = records_.get(kDefinitionKind, digest);
  if (!record) return record.error();
  if (!*record) return Error{Code::store_failed, "the store has no definition " + digest, {}};
  const Result<Value> body = parse_json(**record);
  if (!body) return body.error();
  return read_definition(digest, body->string_or("text", ""));
}

Result<engine::RunState> Core::rebuild(const db::StoredRun& stored) {
  const Uuid id = stored.row.id;
  std::vector<Event> history;
  for (const db::EventGroup& group : stored.events) {
    Result<std::vector<Event>> events = wire::decode_events(group.payload);
    if (!events) return events.error();
    std::move(events->begin(), events->end(), std::back_inserter(history));
  }
  if (!stored.snapshot.empty()) {
    const Result<std::string> digest = snapshot_digest(stored.snapshot);
    const auto definition = digest ? find_definition(*digest) : digest.error();
    if (!definition) return definition.error();
    Result<engine::RunState> state = decode_snapshot(id, *definition, stored.snapshot);
    if (!state) return state;
    return engine::replay_on(std::move(*state), history);
  }
  const RunQueued* facts =
      history.empty() ? nullptr : std::get_if<RunQueued>(&history.front().body);
  if (facts == nullptr)
    return Error{Code::store_failed, "run " + to_string(id) + " has no beginning", {}};
  const auto definition = find_definition(facts->digest);
  if (!definition) return definition.error();
  return engine::replay(id, *definition, history);
}

Result<std::shared_ptr<const engine::RunState>> Core::load_cold(Uuid id) {
  for (auto it = cold_.begin(); it != cold_.end(); ++it) {
    if (it->first != id) continue;
    cold_.splice(cold_.begin(), cold_, it);
    return cold_.front().second;
  }
  const auto stored = store_.load_run(id);
  if (!stored) return stored.error();
  if (!*stored || (*stored)->row.deleted_at) {
    return Error{Code::run_not_found, "there is no run " + to_string(id), {}};
  }
  Result<engine::RunState> state = rebuild(**stored);
  if (!state) return state.error();
  return keep_cold(std::move(*state));
}

std::shared_ptr<const engine::RunState> Core::keep_cold(engine::RunState state) {
  const Uuid id = state.id;
  cold_.emplace_front(id, std::make_shared<const engine::RunState>(std::move(state)));
  if (cold_.size() > kColdRunsMax) cold_.pop_back();
  return cold_.front().second;
}

Result<const engine::RunState*> Core::find_run(const auth::Principal& by, Uuid id) {
  const engine::RunState* state = nullptr;
  if (HotRun* hot = find_hot(id)) {
    state = &hot->state;
  } else {
    const auto cold = load_cold(id);
    if (!cold) return cold.error();
    state = cold->get();
  }
  if (state->facts.project != by.project) {
    return Error{Code::run_not_found, "there is no run " + to_string(id), {}};
  }
  return state;
}

RunView Core::view(const engine::RunState& run) const {
  return {run_json(run), run_etag(run), run.id, run.status, false};
}

// --- decisions on their way to the store ---

void Core::record(HotRun& run, std::vector<Event> events, Instant now) {
  if (events.empty()) return;
  const std::size_t first = run.fresh.size();
  std::move(events.begin(), events.end(), std::back_inserter(run.fresh));
  if (!run.touched) {
    run.touched = true;
    touched_.push_back(run.state.id);
  }
  for (std::size_t i = first; i < run.fresh.size(); ++i) react(run, run.fresh[i], now);
  timers_.arm(run.timer, engine::next_due(run.state));
}

void Core::follow_up(Instant now) {
  while (!follow_ups_.empty()) {
    const auto next = std::move(follow_ups_.front());
    follow_ups_.pop_front();
    next(now);
  }
}

void Core::try_again(std::function<void(Instant)> action, Instant now) {
  const std::uint64_t ticket = next_ticket_++;
  Again& again = again_.try_emplace(ticket, std::move(action), ticket).first->second;
  timers_.arm(again.timer, now + kAfterFailure);
}

db::RunWrite Core::write_of(HotRun& run) {
  db::RunWrite write;
  write.run = run.state.id;
  write.expected_seq = run.stored_seq;
  write.row = run_row(run.state);
  if (!run.fresh.empty()) {
    write.events = db::EventGroup{run.fresh.front().seq, run.fresh.back().seq,
                                  run.fresh.back().time, wire::encode_events(run.fresh)};
    run.stored_seq = run.fresh.back().seq;
  }
  const auto size = static_cast<std::int64_t>(run.state.jobs.size());
  if (run.stored_seq - run.snapshot_seq >= std::max(options_.snapshot_every, 2 * size)) {
    write.snapshot = encode_snapshot(run.state);
    run.snapshot_seq = run.stored_seq;
  }
  return write;
}

Commit Core::take_commit() {
  for (const Uuid id : touched_) {
    HotRun* run = find_hot(id);
    if (run == nullptr) continue;
    pending_.batch.runs.push_back(write_of(*run));
    counters_.events += static_cast<std::int64_t>(run->fresh.size());
    pending_.fresh.push_back({id, run->state.facts.project, std::move(run->fresh)});
    run->fresh.clear();
    run->touched = false;
  }
  touched_.clear();
  records_.sent();
  return std::exchange(pending_, Commit{});
}

void Core::finish_commit(Commit commit, const Status& result, Instant now) {
  if (!commit.batch.empty()) ++counters_.commits;
  if (!result) {
    // What was decided on top of the lost commit is lost with it.
    Commit later = std::exchange(pending_, Commit{});
    for (auto& reply : commit.after) reply(result);
    for (auto& reply : later.after) reply(result);
    trouble_ = result.error().message;
    hold_until_ = now + kAfterFailure;
    std::move(commit.fresh.begin(), commit.fresh.end(), std::back_inserter(in_doubt_));
    reset(now);
    return;
  }
  trouble_.clear();
  records_.landed(commit.batch.records);
  for (const Commit::Fresh& fresh : commit.fresh) publish(fresh);
  for (auto& reply : commit.after) reply(result);
  for (const db::RunWrite& write : commit.batch.runs) settle_run(write.run, now);
  follow_up(now);
}

// A run whose end is durable leaves the hot table.
void Core::settle_run(Uuid id, Instant) {
  HotRun* run = find_hot(id);
  if (run == nullptr || run->touched || !is_final(run->state.status)) return;
  for (const std::uint64_t ticket : run->waiters) {
    const auto waiter = run_waiters_.extract(ticket);
    if (waiter) waiter.mapped().done(view(run->state));
  }
  const std::string& key = run->state.facts.run_key;
  const auto owner = run_keys_.find(run->state.facts.project + "\n" + key);
  if (!key.empty() && owner != run_keys_.end() && owner->second == id) run_keys_.erase(owner);
  for (const engine::JobState& job : run->state.jobs) {
    if (job.detail && job.detail->approval) approvals_.erase(job.detail->approval->id);
  }
  history_.note(run->state);
  keep_cold(std::move(run->state));
  hot_.erase(id);
}

void Core::publish(const Commit::Fresh& fresh) {
  for (const auto& [ticket, subscriber] : subscribers_) {
    if (subscriber.project != fresh.project) continue;
    if (subscriber.run && subscriber.run != fresh.run) continue;
    for (const Event& event : fresh.events) {
      subscriber.listener(FeedEvent{0, fresh.run, event, event_json(fresh.run, event)});
    }
  }
}

// What the store has where `fresh` would have its events.
Result<std::vector<Event>> Core::stored_in_place_of(const Commit::Fresh& fresh) {
  std::vector<Event> stored;
  if (fresh.events.empty()) return stored;
  const std::int64_t first = fresh.events.front().seq;
  const std::int64_t last = fresh.events.back().seq;
  const auto groups =
      store_.read_events(fresh.run, first - 1, static_cast<int>(fresh.events.size()));
  if (!groups) return groups.error();
  for (const db::EventGroup& group : *groups) {
    Result<std::vector<Event>> events = wire::decode_events(group.payload);
    if (!events) return events.error();
    for (Event& event : *events) {
      if (event.seq >= first && event.seq <= last) stored.push_back(std::move(event));
    }
  }
  return stored;
}

// What a commit carried that failed may be written all the same, or something else in its place, by
// a replica that leads meanwhile: followers are told what is there.
Status Core::publish_in_doubt() {
  std::vector<Commit::Fresh> known;
  for (const Commit::Fresh& fresh : in_doubt_) {
    Result<std::vector<Event>> stored = stored_in_place_of(fresh);
    if (!stored) return stored.error();
    known.push_back({fresh.run, fresh.project, std::move(*stored)});
  }
  in_doubt_.clear();
  for (const Commit::Fresh& fresh : known) publish(fresh);
  return {};
}

// Memory may be ahead of the store: throw it away and read the truth back.
void Core::reset(Instant now) {
  hot_.clear();
  touched_.clear();
  follow_ups_.clear();
  again_.clear();
  cold_.clear();
  history_.clear();
  run_keys_.clear();
  receipts_in_flight_.clear();
  records_.clear();
  definitions_.clear();  // what is in here counts as stored
  approvals_.clear();
  locks_ = LockTable();
  leases_.clear();
  schedule_runs_.clear();
  schedules_.clear();
  timers_.arm(schedules_timer_, {});
  // Workers and polls stay; what is ready is found again.
  Dispatcher fresh(options_.project_weights);
  for (const auto& [id, worker] : dispatcher_.workers()) fresh.add_worker(worker).running = 0;
  dispatcher_ = std::move(fresh);
  Status again = publish_in_doubt();
  if (again) again = recover(now);
  usable_ = again.ok();
  if (!again) {
    hold_until_ = now + kAfterFailure;
    trouble_ = again.error().message;
    return;
  }
  std::vector<std::uint64_t> over;
  for (const auto& [ticket, waiter] : run_waiters_) {
    HotRun* run = find_hot(waiter.run);
    run != nullptr ? run->waiters.push_back(ticket) : over.push_back(ticket);
  }
  for (const std::uint64_t ticket : over) answer_waiter(ticket);
  // Polls are offered what is ready once the store has had its rest.
  try_again([](Instant) {}, now);
}

void Core::close() {
  const Error over{Code::shutting_down, "the server is stopping: try again soon", {}};
  const Commit left = std::exchange(pending_, Commit{});
  for (const auto& reply : left.after) reply(over);
  for (auto& [ticket, poller] : std::exchange(pollers_, {})) poller.done(std::vector<Task>{});
  for (auto& [ticket, waiter] : std::exchange(run_waiters_, {})) {
    const HotRun* run = usable_ ? find_hot(waiter.run) : nullptr;
    run != nullptr ? waiter.done(view(run->state)) : waiter.done(over);
  }
  subscribers_.clear();
}

// The time of a wait_run is over, or its run is: answers with what the run is now.
void Core::answer_waiter(std::uint64_t ticket) {
  const auto found = run_waiters_.extract(ticket);
  if (!found) return;
  const RunWaiter& waiter = found.mapped();
  if (HotRun* run = find_hot(waiter.run)) {
    std::erase(run->waiters, ticket);
    return reply_after_commit([done = waiter.done, shown = view(run->state)](const Status& status) {
      status ? done(shown) : done(status.error());
    });
  }
  const auto cold = load_cold(waiter.run);
  cold ? waiter.done(view(**cold)) : waiter.done(cold.error());
}

bool Core::owns(std::string_view project) const {
  return options_.shards == 1 || db::shard_of(project, options_.shards) == options_.shard;
}

Status Core::recover(Instant now) {
  std::vector<db::StoredRun> stored;
  const Status read = store_.each_open_run([&](db::StoredRun run) {
    stored.push_back(std::move(run));
    return true;
  });
  if (!read) return read;
  for (db::StoredRun& run : stored) {
    Result<engine::RunState> state = rebuild(run);
    if (!state) {
      Error broken = state.error();
      broken.message = "run " + to_string(run.row.id) + ": " + broken.message;
      return broken;
    }
    auto hot = std::make_unique<HotRun>(std::move(*state));
    hot->stored_seq = hot->state.seq;
    hot->snapshot_seq = run.snapshot_seq;
    hot_.emplace(run.row.id, std::move(hot));
  }
  const auto newest = store_.max_run_number();
  if (!newest) return newest.error();
  next_number_ = *newest + 1;
  if (const Status loaded = load_schedules(now); !loaded) return loaded;
  std::vector<std::pair<std::int64_t, Uuid>> order;
  for (const auto& [id, run] : hot_) order.emplace_back(run->state.facts.number, id);
  std::sort(order.begin(), order.end());
  for (const auto& [id, run] : hot_) restore_holds(*run);
  for (const auto& [number, id] : order) restore_effects(*hot_.at(id), now);
  recovered_ = true;
  follow_up(now);
  return {};
}

// --- time ---

Instant Core::next_wake() const { return usable_ ? timers_.next() : hold_until_; }

void Core::tick(Instant now) {
  if (!usable_ && now >= hold_until_) reset(now);
  if (!usable_) return;
  TimerKey key;
  while (timers_.take_due(now, key)) fire(key, now);
  if (options_.watchdog && now - last_watch_ >= kWatchEvery) watch(now);
  follow_up(now);
  match_pollers(now);
}

void Core::fire(const TimerKey& key, Instant now) {
  const bool rests = now < hold_until_;
  switch (key.kind) {
    case TimerKind::run: {
      HotRun* run = find_hot(key.run);
      if (run == nullptr) return;
      if (rests) return timers_.arm(run->timer, hold_until_);
      const std::int64_t before = run->state.seq;
      record(*run, engine::fire_timers(run->state, ambient(now)), now);
      MC_CHECK(run->state.seq > before);
      return;
    }
    case TimerKind::lease: return expire_lease(key.run, key.node, now);
    case TimerKind::schedules: return rests ? arm_schedules(hold_until_) : fire_schedules(now);
    case TimerKind::again: {
      auto again = again_.extract(key.ticket);
      if (again) follow_ups_.push_back(std::move(again.mapped().action));
      return;
    }
    case TimerKind::waiter: return answer_waiter(key.ticket);
    case TimerKind::poller: return polls_over_.push_back(key.ticket);  // match_pollers is next
  }
}

// "Nothing waits without a reason", checked on what really is in memory.
void Core::watch(Instant now) {
  last_watch_ = now;
  for (const auto& [id, run] : hot_) {
    const auto wrong = engine::violation(run->state);
    if (!wrong) continue;
    ++counters_.stuck_runs;
    if (options_.report) options_.report("run " + to_string(id) + ": " + *wrong);
  }
}

// --- small documents ---

void Core::put_records(std::vector<db::RecordPut> puts, std::optional<db::Receipt> receipt,
                       Done<bool> done) {
  // A guarded put must not take others down with it: its guard is checked here, where all writes
  // pass.
  for (const db::RecordPut& put : puts) {
    if (!put.expected) continue;
    const auto found = store_.get_record(put.kind, put.key);
    if (!found) return done(found.error());
    const std::int64_t version = *found ? (*found)->version : 0;
    if (version != *put.expected || records_.has(put.kind, put.key)) {
      return done(Error{Code::conflict, put.kind + " " + put.key + " has changed", {}});
    }
  }
  bool taken = false;
  if (receipt) {
    const auto before = store_.get_receipt(receipt->scope, receipt->key);
    if (!before) return done(before.error());
    taken = before->has_value();
  }
  for (db::RecordPut& put : puts) records_.put(pending_.batch.records, std::move(put));
  if (receipt && !taken) keep_receipt(std::move(*receipt));
  reply_after_commit([done = std::move(done)](const Status& status) {
    status ? done(true) : done(status.error());
  });
}

Service::Health Core::health() const {
  Service::Health health = counters_;
  health.ready = usable_ && trouble_.empty();
  health.detail = trouble_;
  health.open_runs = static_cast<std::int64_t>(hot_.size());
  health.ready_jobs = static_cast<std::int64_t>(dispatcher_.ready_count());
  health.running_jobs = static_cast<std::int64_t>(leases_.size());
  health.workers = static_cast<std::int64_t>(dispatcher_.workers().size());
  return health;
}
}  // namespace mc::conductor
