#include <algorithm>
#include <deque>

#include "base/json.h"
#include "base/text.h"
#include "conductor/core.h"
#include "conductor/records.h"

namespace mc::conductor {
namespace {
constexpr Millis kAfterTrouble{1000};  // a fire that the store failed is tried again
constexpr int kShownFires = 5;
constexpr int kCatchUpMax = 100;  // missed fires made up for at once
constexpr int kBackfillMax = 1000;
constexpr int kQueuedFiresMax = 1000;  // overlap: queue_all
constexpr int kSchedulePage = 1000;

// A fire moved by the schedule's own jitter: always by the same.
Instant moved(const Schedule& schedule, Instant fire) {
  const std::int64_t spread = schedule.spec.jitter.count();
  if (spread <= 0) return fire;
  Rng rng(derive_uuid(fire, schedule_key(schedule)).low);
  return fire +
         Millis(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(spread) + 1)));
}

Instant planned(const Schedule& schedule, Instant after) {
  const std::vector<Instant> next = next_fires(schedule.spec, after, 1);
  return next.empty() ? Instant{} : moved(schedule, next.front());
}

// Fires from the planned one on that nobody was there for, as `catch_up` says; of very many the
// newest.
std::vector<Instant> missed_fires(const Schedule& schedule, Instant now) {
  const ScheduleSpec& spec = schedule.spec;
  if (spec.catch_up == CatchUp::none) return {};
  const Millis window = spec.catch_up_window;
  const Instant from =
      window.count() > 0 ? std::max(schedule.next_fire, now - window) : schedule.next_fire;
  const std::size_t most = spec.catch_up == CatchUp::last ? 1 : kCatchUpMax;
  std::deque<Instant> missed;
  Instant after = from - spec.jitter - Millis(1);
  while (after <= now) {
    const std::vector<Instant> page = next_fires(spec, after, kCatchUpMax);
    if (page.empty()) break;
    for (const Instant fire : page) {
      const Instant at = moved(schedule, fire);
      if (at >= from && at <= now) missed.push_back(at);
      if (missed.size() > most) missed.pop_front();
    }
    after = page.back();
  }
  return {missed.begin(), missed.end()};
}

// A fire that starts nothing, and why.
Status skip(Schedule& schedule, const Error& why) {
  ++schedule.skipped;
  schedule.last_error = why.message;
  return {};
}

Error unknown_schedule(const std::string& id) {
  return Error{Code::not_found, "there is no schedule " + id, {}};
}
}  // namespace

void Core::save_schedule(const Schedule& schedule) {
  put_record(kScheduleKind, schedule_key(schedule), schedule_json(schedule, {}));
  if (!schedule.paused) arm_schedules(schedule.next_fire);
}

// One timer serves all schedules: it stands at the earliest moment that any of them asked for.
void Core::arm_schedules(Instant at) {
  const Instant due = schedules_timer_.due();
  if (at && (!due || at < due)) timers_.arm(schedules_timer_, at);
}

Status Core::load_schedules(Instant now) {
  std::string after;
  while (true) {
    const auto page = store_.list_records(kScheduleKind, "", after, kSchedulePage);
    if (!page) return page.error();
    for (const db::Record& record : *page) {
      after = record.key;
      // Of each project there is one conductor that fires them.
      if (!owns(record.key.substr(0, record.key.find('/')))) continue;
      const Result<Value> body = parse_json(record.json);
      if (!body) return body.error();
      Result<Schedule> schedule = read_schedule(*body);
      if (!schedule) return schedule.error();
      schedules_.insert_or_assign(record.key, std::move(*schedule));
    }
    if (static_cast<int>(page->size()) < kSchedulePage) break;
  }
  // Fires that were missed while nobody was here, as `catch_up` says.
  for (auto& [key, schedule] : schedules_) {
    if (schedule.paused || !schedule.next_fire || schedule.next_fire > now) continue;
    for (const Instant at : missed_fires(schedule, now)) {
      follow_ups_.push_back([this, id = key, at](Instant later) { catch_up(id, at, later); });
    }
    schedule.next_fire = planned(schedule, now);
    save_schedule(schedule);
  }
  for (const auto& [key, schedule] : schedules_) {
    if (!schedule.paused) arm_schedules(schedule.queued > 0 ? now : schedule.next_fire);
  }
  return {};
}

// A workflow was stored: its `on.schedule` list is the truth for schedules from definitions.
void Core::sync_schedules(const std::string& project, const WorkflowSpec& spec, Instant now) {
  for (std::size_t i = 0; i < spec.on.schedules.size(); ++i) {
    Schedule fresh{.id = spec.name + "-" + std::to_string(i + 1),
                   .project = project,
                   .workflow = spec.name,
                   .source = "definition",
                   .spec = spec.on.schedules[i],
                   .created_at = now};
    const auto known = schedules_.find(schedule_key(fresh));
    if (known != schedules_.end()) {
      const bool same_times = known->second.spec.cron == fresh.spec.cron &&
                              known->second.spec.timezone == fresh.spec.timezone;
      known->second.spec = fresh.spec;
      if (!same_times) known->second.next_fire = planned(fresh, now);
      save_schedule(known->second);
      continue;
    }
    fresh.next_fire = planned(fresh, now);
    save_schedule(fresh);
    schedules_.emplace(schedule_key(fresh), std::move(fresh));
  }
  for (auto it = schedules_.begin(); it != schedules_.end();) {
    const Schedule& old = it->second;
    bool stale = old.project == project && old.workflow == spec.name && old.source == "definition";
    for (std::size_t i = 0; stale && i < spec.on.schedules.size(); ++i) {
      stale = old.id != spec.name + "-" + std::to_string(i + 1);
    }
    if (!stale) {
      ++it;
      continue;
    }
    put_record(kScheduleKind, it->first, std::nullopt);
    it = schedules_.erase(it);
  }
}

void Core::fire_schedules(Instant now) {
  if (draining_) return;  // the next start finds what was missed
  for (auto& [key, schedule] : schedules_) {
    if (schedule.paused) continue;
    if (schedule.queued > 0 && schedule_runs_[key].empty()) {
      if (!fire_schedule(schedule, now, "schedule", now)) return arm_schedules(now + kAfterTrouble);
      --schedule.queued;
      save_schedule(schedule);
    }
    if (!schedule.next_fire || schedule.next_fire > now) {
      arm_schedules(schedule.next_fire);
      continue;
    }
    const Instant at = schedule.next_fire;
    if (!fire_schedule(schedule, at, "schedule", now)) return arm_schedules(now + kAfterTrouble);
    schedule.next_fire = planned(schedule, now);
    save_schedule(schedule);
  }
}

// A fire that was missed.
void Core::catch_up(const std::string& key, Instant at, Instant now) {
  const auto found = schedules_.find(key);
  if (found == schedules_.end() || fire_schedule(found->second, at, "schedule", now)) return;
  try_again([this, key, at](Instant later) { catch_up(key, at, later); }, now);
}

// Errors: store_failed, when it could not be told whether this fire has its run already; nothing
// was done.
Status Core::fire_schedule(Schedule& schedule, Instant at, std::string_view kind, Instant now) {
  const std::string key = schedule_key(schedule);
  std::set<Uuid>& open = schedule_runs_[key];
  if (!open.empty() && kind == "schedule") {
    switch (schedule.spec.overlap) {
      case Overlap::skip:
        ++schedule.skipped;
        schedule.last_error = "the run before was not over";
        return {};
      case Overlap::queue_one: schedule.queued = 1; return {};
      case Overlap::queue_all:
        schedule.queued = std::min(schedule.queued + 1, kQueuedFiresMax);
        return {};
      case Overlap::cancel_running:
        for (const Uuid id : std::set<Uuid>(open)) {
          HotRun* run = find_hot(id);
          if (run == nullptr) continue;
          auto events = engine::cancel_run(
              run->state, {"schedule", "its schedule fired again", false}, ambient(now));
          if (events) record(*run, std::move(*events), now);
        }
    }
  }
  auth::Principal by;
  by.name = "schedule";
  by.project = schedule.project;
  StartRun request{.principal = by, .workflow = schedule.workflow, .inputs = schedule.spec.inputs};
  request.trigger =
      Value(Object{{"kind", kind}, {"schedule", schedule.id}, {"scheduled_at", to_rfc3339(at)}});
  Result<NewRun> fresh = prepare_start(request, now);
  if (!fresh && fresh.error().code == Code::store_failed) return fresh.error();
  // One fire makes one run, also when it is tried again after a crash.
  const Uuid id = derive_uuid(at, key + std::string(kind));
  const auto past = store_.load_run(id);
  if (!past) return past.error();
  schedule.last_fire = now;
  ++schedule.fires;
  if (!fresh) return skip(schedule, fresh.error());
  fresh->id = id;
  if (find_hot(id) != nullptr || *past) return {};
  const Result<RunView> shown = admit(std::move(*fresh), now);
  if (!shown) return skip(schedule, shown.error());
  schedule.last_error.clear();
  schedule.last_run = id;
  // A run that had nothing to do is over already.
  if (const HotRun* run = find_hot(id); run != nullptr && !is_final(run->state.status))
    open.insert(id);
  return {};
}

// --- requests ---

void Core::schedules(const auth::Principal& by, Instant now, Done<std::string> done) {
  JsonWriter out;
  out.open('{').key("items").open('[');
  for (const auto& [key, schedule] : schedules_) {
    if (schedule.project != by.project) continue;
    out.raw(schedule_json(schedule, schedule.paused ? std::vector<Instant>{}
                                                    : next_fires(schedule.spec, now, kShownFires)));
  }
  done(out.close(']').key("next_cursor").null().close('}').take());
}

void Core::schedule_action(const auth::Principal& by, const std::string& id,
                           const std::string& action, Instant now, Done<std::string> done) {
  const auto found = schedules_.find(by.project + "/" + id);
  if (found == schedules_.end()) return done(unknown_schedule(id));
  Schedule& schedule = found->second;
  if (action == "delete") {
    if (schedule.source == "definition") {
      return done(Error{Code::conflict,
                        "this schedule stands in the definition of " + schedule.workflow +
                            ": take it out there, or pause it",
                        {}});
    }
    put_record(kScheduleKind, found->first, std::nullopt);
    schedules_.erase(found);
    return reply_after_commit([done = std::move(done)](const Status& status) {
      status ? done(std::string("{}")) : done(status.error());
    });
  }
  if (action == "pause") {
    schedule.paused = true;
    schedule.paused_by = by.name;
  } else if (action == "resume") {
    schedule.paused = false;
    schedule.paused_by.clear();
    schedule.next_fire = planned(schedule, now);
    if (schedule.queued > 0) arm_schedules(now);
  } else if (action == "run_now") {
    const std::int64_t before = schedule.skipped;
    if (const Status fired = fire_schedule(schedule, now, "manual", now); !fired)
      return done(fired.error());
    if (schedule.skipped > before) {
      return done(Error{
          Code::conflict,
          "the workflow " + schedule.workflow + " could not be started: " + schedule.last_error,
          {}});
    }
  } else {
    return done(
        Error{Code::invalid_field, "action: pause, resume, run_now or delete is wanted", {}});
  }
  save_schedule(schedule);
  const auto fires =
      schedule.paused ? std::vector<Instant>{} : next_fires(schedule.spec, now, kShownFires);
  reply_after_commit([done = std::move(done), shown = schedule_json(schedule, fires)](
                         const Status& status) { status ? done(shown) : done(status.error()); });
}

void Core::create_schedule(const auth::Principal& by, const std::string& workflow,
                           const Value& spec, Instant now, Done<std::string> done) {
  Result<ScheduleSpec> read = read_schedule_spec(spec);
  if (!read) return done(read.error());
  const auto record = records_.get(kWorkflowKind, by.project + "/" + workflow);
  if (!record) return done(record.error());
  if (!*record)
    return done(Error{Code::workflow_not_found, "there is no workflow " + workflow, {}});
  // Inputs that do not fit would fail at each fire, when nobody looks.
  StartRun trial{.principal = by, .workflow = workflow, .inputs = read->inputs};
  if (const auto fits = prepare_start(trial, now); !fits) return done(fits.error());
  Schedule schedule{.id = to_string(make_uuid(now, rng_)),
                    .project = by.project,
                    .workflow = workflow,
                    .source = "api",
                    .spec = std::move(*read),
                    .created_at = now};
  schedule.next_fire = planned(schedule, now);
  save_schedule(schedule);
  const std::string shown = schedule_json(schedule, next_fires(schedule.spec, now, kShownFires));
  schedules_.emplace(schedule_key(schedule), std::move(schedule));
  reply_after_commit([done = std::move(done), shown](const Status& status) {
    status ? done(shown) : done(status.error());
  });
}

void Core::backfill(const auth::Principal& by, const std::string& id, Instant from, Instant to,
                    bool dry_run, Instant now, Done<std::string> done) {
  const auto found = schedules_.find(by.project + "/" + id);
  if (found == schedules_.end()) return done(unknown_schedule(id));
  if (to <= from) return done(Error{Code::invalid_field, "to: must be later than from", {}});
  Schedule& schedule = found->second;
  std::vector<Instant> fires = next_fires(schedule.spec, from - Millis(1), kBackfillMax + 1);
  std::erase_if(fires, [&](Instant at) { return at > to; });
  if (static_cast<int>(fires.size()) > kBackfillMax) {
    return done(Error{Code::limit_exceeded,
                      "more than " + std::to_string(kBackfillMax) + " fires: take a shorter span",
                      {}});
  }
  if (!dry_run) {
    for (const Instant at : fires) {
      // Asked again, those that fired are not fired twice.
      if (const Status fired = fire_schedule(schedule, at, "backfill", now); !fired)
        return done(fired.error());
    }
    save_schedule(schedule);
  }
  JsonWriter out;
  out.open('{').field("dry_run", dry_run).field("count", fires.size()).key("fires").open('[');
  for (const Instant at : fires) out.item(to_rfc3339(at));
  out.close(']').close('}');
  reply_after_commit([done = std::move(done), shown = out.take()](const Status& status) {
    status ? done(shown) : done(status.error());
  });
}
}  // namespace mc::conductor
