#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/sha256.h"
#include "conductor/core.h"
#include "conductor/records.h"
#include "conductor/render.h"
#include "lang/parse.h"

namespace mc::conductor {
namespace {
Error shutting_down() {
  return Error{Code::shutting_down, "the server is stopping: try again soon", {}};
}

std::string run_location(Uuid id) { return "/api/v1/runs/" + to_string(id); }

std::string receipt_key(const std::string& scope, const std::string& key) {
  return scope + "\n" + key;
}

LockOwner owner_of(const engine::RunState& run, NodeIndex node) {
  return {run.facts.number, run.id, node};
}
}  // namespace

// --- starting ---

Result<std::optional<RunView>> Core::replayed(const std::optional<Idempotency>& key) {
  if (!key) return std::optional<RunView>{};
  if (receipts_in_flight_.contains(receipt_key(key->scope, key->key))) {
    return Error{Code::idempotency_in_flight, "a request with this key is being worked on", {}};
  }
  const auto receipt = store_.get_receipt(key->scope, key->key);
  if (!receipt) return receipt.error();
  if (!*receipt) return std::optional<RunView>{};
  if ((*receipt)->request_digest != key->request_digest) {
    return Error{Code::idempotency_key_reused,
                 "this key came before with another body: use a fresh key",
                 {}};
  }
  RunView view{.json = (*receipt)->body, .existing = true, .replayed = (*receipt)->status};
  const Result<Value> body = parse_json(view.json);
  if (body) view.id = parse_uuid(body->string_or("id", "")).value_or(Uuid{});
  return std::optional<RunView>(std::move(view));
}

// The project's variables as they are now, if the definition mentions any.
Result<Value> Core::variables_for(const WorkflowSpec& spec, const std::string& project) {
  constexpr int kVariablesMax = 1000;
  Object vars;
  if (spec.text.find("vars") == std::string::npos) return Value(std::move(vars));
  const std::string prefix = project + "/";
  const auto records = store_.list_records(kVariableKind, prefix, "", kVariablesMax);
  if (!records) return records.error();
  for (const db::Record& record : *records) {
    const Result<Value> body = parse_json(record.json);
    if (!body) return body.error();
    const Value* value = body->find("value");
    vars.emplace_back(record.key.substr(prefix.size()), value != nullptr ? *value : Value());
  }
  return Value(std::move(vars));
}

Result<Core::NewRun> Core::prepare_start(StartRun& request, Instant now) {
  NewRun fresh;
  fresh.id = make_uuid(now, rng_);
  RunQueued& facts = fresh.facts;
  facts.project = request.principal.project;
  std::string text = std::move(request.definition);
  if (text.empty()) {
    const std::string key = facts.project + "/" + request.workflow;
    const auto record = records_.get(kWorkflowKind, key);
    if (!record) return record.error();
    const Result<Value> newest = *record ? parse_json(**record) : Result<Value>(Value());
    if (!newest) return newest.error();
    if (!*record || newest->bool_or("deleted", false)) {
      return Error{Code::workflow_not_found,
                   "there is no workflow " + request.workflow +
                       "; `maestro workflows list` shows those there are",
                   {}};
    }
    facts.version = request.version > 0 ? request.version : newest->int_or("version", 1);
    facts.digest = newest->string_or("digest", "");
    if (request.version > 0) {
      const auto old = records_.get(kVersionKind, fmt::format("{}/{:010}", key, request.version));
      if (!old) return old.error();
      if (!*old) {
        return Error{
            Code::workflow_not_found,
            fmt::format("workflow {} has no version {}", request.workflow, request.version),
            {}};
      }
      const Result<Value> body = parse_json(**old);
      if (!body) return body.error();
      facts.digest = body->string_or("digest", "");
    }
  } else {
    facts.digest = "sha256:" + sha256_hex(text);
  }
  const bool stored = definitions_.contains(facts.digest);
  const auto definition =
      text.empty() ? find_definition(facts.digest) : read_definition(facts.digest, text);
  if (!definition) return definition.error();
  fresh.definition = *definition;
  const WorkflowSpec& spec = fresh.definition->spec;
  if (!text.empty() && !stored) {
    put_record(kDefinitionKind, facts.digest, to_json(Value(Object{{"text", Value(text)}})));
  }
  Result<Value> inputs = lang::resolve_inputs(spec.inputs, request.inputs);
  if (!inputs) return inputs.error();
  facts.inputs = std::move(*inputs);
  facts.workflow = text.empty() ? request.workflow : spec.name;
  facts.trigger =
      request.trigger.find("kind") != nullptr ? request.trigger : Value(Object{{"kind", "api"}});
  facts.actor = request.principal.name;
  facts.ref = std::move(request.ref);
  facts.commit = std::move(request.commit);
  facts.repository = std::move(request.repository);
  facts.labels = std::move(request.labels);
  facts.run_key = std::move(request.run_key);
  facts.event = std::move(request.event);
  Result<Value> vars = variables_for(spec, facts.project);
  if (!vars) return vars.error();
  facts.vars = std::move(*vars);
  fresh.on_conflict = request.on_conflict;
  fresh.idempotency = std::move(request.idempotency);
  return fresh;
}

Status Core::resolve_run_key(NewRun& fresh, Instant now, std::optional<RunView>& existing) {
  if (fresh.facts.run_key.empty()) return {};
  const auto open = run_keys_.find(fresh.facts.project + "\n" + fresh.facts.run_key);
  HotRun* other = open == run_keys_.end() ? nullptr : find_hot(open->second);
  if (other == nullptr || is_final(other->state.status)) return {};
  switch (fresh.on_conflict) {
    case OnConflict::reject:
      return Error{Code::run_key_in_use,
                   "run " + to_string(other->state.id) + " has the key " + fresh.facts.run_key +
                       " and is not over",
                   {}};
    case OnConflict::use_existing:
      existing = view(other->state);
      existing->existing = true;
      return {};
    case OnConflict::cancel_existing: {
      auto events = engine::cancel_run(
          other->state, {fresh.facts.actor, "replaced by a newer run", false}, ambient(now));
      if (events) record(*other, std::move(*events), now);
      return {};
    }
  }
  return {};
}

// The group is full: what `on_overflow` says about those in it.
Status Core::make_room(const NewRun& fresh, const std::string& group, const ConcurrencySpec& spec,
                       Instant now) {
  if (locks_.is_free(group, spec.limit)) return {};
  std::set<Uuid> asking{fresh.facts.parent};
  if (fresh.facts.parent && all_wait_for(group, asking)) {
    return Error{Code::concurrency_rejected,
                 "it would wait for ever: the concurrency group " + fresh.facts.lock_group +
                     " is held by runs that wait for this one, as its parent run does",
                 {}};
  }
  if (spec.on_overflow == OnOverflow::queue) return {};
  if (spec.on_overflow == OnOverflow::reject) {
    return Error{
        Code::concurrency_rejected,
        "the concurrency group " + fresh.facts.lock_group + " is full and rejects more runs",
        {}};
  }
  std::vector<LockOwner> others = locks_.waiting(group);
  if (spec.on_overflow == OnOverflow::cancel_running) {
    const std::vector<LockOwner> holders = locks_.holders(group);
    others.insert(others.end(), holders.begin(), holders.end());
  }
  for (const LockOwner& other : others) {
    HotRun* run = find_hot(other.run);
    if (run == nullptr || other.node != kWholeRun) continue;
    auto events = engine::cancel_run(run->state, {"system", "a newer run of its group came", false},
                                     ambient(now));
    if (events) record(*run, std::move(*events), now);
  }
  return {};
}

Result<RunView> Core::admit(NewRun fresh, Instant now) {
  // Two conductors of one run would undo each other's decisions.
  if (!owns(fresh.facts.project)) {
    return Error{
        Code::internal, "another shard decides for the project " + fresh.facts.project, {}};
  }
  if (static_cast<int>(hot_.size()) >= options_.open_runs_max) {
    return Error{Code::too_many_runs,
                 fmt::format("{} runs are open: wait for some to end", hot_.size()),
                 {}};
  }
  std::optional<RunView> existing;
  if (const Status room = resolve_run_key(fresh, now, existing); !room) return room.error();
  if (existing) {
    keep_answer(fresh.idempotency, 200, *existing, now);
    return *existing;
  }
  auto run = std::make_unique<HotRun>(engine::empty_run(fresh.id, fresh.definition));
  fresh.facts.number = next_number_;
  Result<engine::Events> queued = engine::queue_run(run->state, fresh.facts, ambient(now));
  if (!queued) return queued.error();
  const std::string& group = run->state.facts.lock_group;
  const auto& concurrency = fresh.definition->spec.concurrency;
  const std::string lock = run_group(fresh.facts.project, group);
  if (!group.empty()) {
    fresh.facts.lock_group = group;
    const Status room = make_room(fresh, lock, *concurrency, now);
    if (!room) return room.error();
  }
  ++next_number_;
  ++counters_.runs_started;
  HotRun& hot = *hot_.emplace(fresh.id, std::move(run)).first->second;
  if (!fresh.facts.run_key.empty())
    run_keys_[fresh.facts.project + "\n" + fresh.facts.run_key] = fresh.id;
  record(hot, std::move(*queued), now);
  const bool held =
      group.empty() || locks_.acquire(lock, concurrency->limit, owner_of(hot.state, kWholeRun));
  record(
      hot,
      held ? engine::begin_run(hot.state, ambient(now)) : engine::hold_run(hot.state, ambient(now)),
      now);
  RunView shown = view(hot.state);
  keep_answer(fresh.idempotency, 201, shown, now);
  return shown;
}

void Core::keep_answer(const std::optional<Idempotency>& key, int status, const RunView& answer,
                       Instant now) {
  if (!key) return;
  keep_receipt({key->scope, key->key, key->request_digest, status, run_location(answer.id),
                answer.json, now});
}

// The first answer under a key stands: that of another call which came at the same time with the
// same key is not kept.
void Core::keep_receipt(db::Receipt receipt) {
  const std::string id = receipt_key(receipt.scope, receipt.key);
  if (!receipts_in_flight_.insert(id).second) return;
  pending_.batch.receipts.push_back(std::move(receipt));
  reply_after_commit([this, id](const Status&) { receipts_in_flight_.erase(id); });
}

void Core::start_run(StartRun request, Instant now, Done<RunView> done) {
  if (draining_) return done(shutting_down());
  const auto before = replayed(request.idempotency);
  if (!before) return done(before.error());
  if (*before) return done(**before);
  Result<NewRun> fresh = prepare_start(request, now);
  if (!fresh) return done(fresh.error());
  Result<RunView> shown = admit(std::move(*fresh), now);
  if (!shown) return done(shown.error());
  reply_after_commit([done = std::move(done), shown = std::move(*shown)](const Status& status) {
    status ? done(shown) : done(status.error());
  });
}

void Core::rerun(Rerun request, Instant now, Done<RunView> done) {
  if (draining_) return done(shutting_down());
  const auto before = replayed(request.idempotency);
  if (!before) return done(before.error());
  if (*before) return done(**before);
  const auto found = find_run(request.principal, request.run);
  if (!found) return done(found.error());
  const engine::RunState& old = **found;
  if (!is_final(old.status)) {
    return done(Error{Code::run_not_final,
                      "the run is " + std::string(to_name(shown_status(old))) +
                          ": cancel it or wait for its end first",
                      {}});
  }
  const auto scope = request.scope == Rerun::Scope::all      ? engine::RerunScope::all
                     : request.scope == Rerun::Scope::failed ? engine::RerunScope::failed
                                                             : engine::RerunScope::from;
  Result<engine::RerunPlan> plan =
      engine::plan_rerun(old, scope, request.from, {.now = now, .keep = options_.keep_artifacts});
  if (!plan) return done(plan.error());
  if (!plan->repeats.empty() && !request.accept_effects) {
    Error error{Code::effects_would_repeat, "these jobs would repeat effects on the outside: ", {}};
    for (const std::string& key : plan->repeats) {
      error.message += (&key == &plan->repeats.front() ? "" : ", ") + key;
      error.problems.push_back(
          {0, 0, "effects_would_repeat", key, "send accept_effects: true to repeat them"});
    }
    return done(error);
  }
  NewRun fresh{.id = make_uuid(now, rng_),
               .facts = old.facts,
               .definition = old.definition,
               .idempotency = std::move(request.idempotency)};
  if (request.latest_definition && old.facts.version > 0) {
    StartRun newest{.principal = request.principal,
                    .workflow = old.facts.workflow,
                    .inputs = request.inputs.value_or(old.facts.inputs)};
    Result<NewRun> latest = prepare_start(newest, now);
    if (!latest) return done(latest.error());
    fresh.definition = latest->definition;
    fresh.facts.version = latest->facts.version;
    fresh.facts.digest = latest->facts.digest;
    fresh.facts.inputs = latest->facts.inputs;
  } else if (request.inputs) {
    Result<Value> inputs = lang::resolve_inputs(fresh.definition->spec.inputs, *request.inputs);
    if (!inputs) return done(inputs.error());
    fresh.facts.inputs = std::move(*inputs);
  }
  fresh.facts.actor = request.principal.name;
  fresh.facts.trigger = Value(Object{{"kind", "rerun"}, {"run", to_string(old.id)}});
  fresh.facts.rerun_of = old.id;
  fresh.facts.kept = std::move(plan->kept);
  fresh.facts.parent = {};
  fresh.facts.depth = 0;
  fresh.facts.run_key.clear();
  Result<RunView> shown = admit(std::move(fresh), now);
  if (!shown) return done(shown.error());
  reply_after_commit([done = std::move(done), shown = std::move(*shown)](const Status& status) {
    status ? done(shown) : done(status.error());
  });
}

// --- changing ---

Result<Core::HotRun*> Core::open_for_change(const auth::Principal& by, Uuid id) {
  const auto found = find_run(by, id);
  if (!found) return found.error();
  HotRun* run = find_hot(id);
  if (run == nullptr || is_final((*found)->status)) {
    return Error{
        Code::run_final, "the run has " + std::string(to_name((*found)->status)) + " already", {}};
  }
  return run;
}

void Core::cancel_run(const auth::Principal& by, Uuid id, std::string message, Instant now,
                      Done<RunView> done) {
  const auto run = open_for_change(by, id);
  if (!run) return done(run.error());
  auto events =
      engine::cancel_run((*run)->state, {by.name, std::move(message), false}, ambient(now));
  if (!events) return done(events.error());
  record(**run, std::move(*events), now);
  reply_after_commit([done = std::move(done), shown = view((*run)->state)](const Status& status) {
    status ? done(shown) : done(status.error());
  });
}

void Core::signal(const auth::Principal& by, Uuid id, std::string event, Value data, Instant now,
                  Done<RunView> done) {
  const auto run = open_for_change(by, id);
  if (!run) return done(run.error());
  auto events = engine::receive_signal((*run)->state, {std::move(event), std::move(data), by.name},
                                       ambient(now));
  if (!events) return done(events.error());
  record(**run, std::move(*events), now);
  reply_after_commit([done = std::move(done), shown = view((*run)->state)](const Status& status) {
    status ? done(shown) : done(status.error());
  });
}

void Core::delete_run(const auth::Principal& by, Uuid id, Instant now, Done<bool> done) {
  const auto found = find_run(by, id);
  if (!found) return done(found.error());
  if (!is_final((*found)->status)) {
    return done(
        Error{Code::run_not_final,
              "the run is " + std::string(to_name(shown_status(**found))) + ": cancel it first",
              {}});
  }
  if (find_hot(id) != nullptr) {
    // Its end is on its way to the disk: once more, right after that.
    reply_after_commit([this, by, id, done = std::move(done)](const Status& status) mutable {
      if (!status) return done(status.error());
      follow_ups_.push_back([this, by, id, done = std::move(done)](Instant later) mutable {
        delete_run(by, id, later, std::move(done));
      });
    });
    return;
  }
  db::RunWrite write;
  write.run = id;
  write.expected_seq = (*found)->seq;
  write.row = run_row(**found);
  write.row.deleted_at = now;
  pending_.batch.runs.push_back(std::move(write));
  std::erase_if(cold_, [&](const auto& entry) { return entry.first == id; });
  reply_after_commit([this, id, done = std::move(done)](const Status& status) {
    std::erase_if(cold_, [&](const auto& entry) { return entry.first == id; });
    status ? done(true) : done(status.error());
  });
}

// The approval that is meant. Errors: not_found, already_decided, conflict (several wait).
Result<Core::TaskKey> Core::find_approval(const Decision& decision) {
  const std::string& project = decision.principal.project;
  if (decision.approval) {
    const auto known = approvals_.find(decision.approval);
    const HotRun* run = known == approvals_.end() ? nullptr : find_hot(known->second.run);
    if (run != nullptr && run->state.facts.project == project) return known->second;
    for (const auto& [id, state] : cold_) {
      const auto meant = [&](const engine::JobState& job) {
        return job.detail && job.detail->approval && job.detail->approval->id == decision.approval;
      };
      if (state->facts.project == project &&
          std::any_of(state->jobs.begin(), state->jobs.end(), meant))
        return Error{Code::already_decided, "the run is over", {}};
    }
    return Error{Code::not_found, "there is no such approval, or its run is long over", {}};
  }
  const auto found = find_run(decision.principal, decision.run);
  if (!found) return found.error();
  const engine::RunState& state = **found;
  if (is_final(state.status)) return Error{Code::already_decided, "the run is over", {}};
  std::vector<NodeIndex> matches;
  for (NodeIndex node = 0; node < state.jobs.size(); ++node) {
    const engine::JobState& job = state.jobs[node];
    if (!job.detail || !job.detail->approval) continue;
    const bool meant =
        decision.job.empty() ? job.status == JobStatus::waiting : job.key == decision.job;
    if (meant) matches.push_back(node);
  }
  if (matches.empty())
    return Error{Code::not_found, "nothing of this run waits for an approval", {}};
  if (matches.size() == 1) return TaskKey{state.id, matches.front()};
  Error error{Code::conflict, "several approvals wait: name the job", {}};
  for (const NodeIndex node : matches)
    error.problems.push_back({0, 0, "waiting", state.jobs[node].key, {}});
  return error;
}

void Core::decide(Decision decision, Instant now, Done<std::string> done) {
  const Result<TaskKey> key = find_approval(decision);
  if (!key) return done(key.error());
  HotRun* run = find_hot(key->run);
  if (run == nullptr) return done(Error{Code::already_decided, "the run is over", {}});
  const NodeIndex node = key->node;
  const engine::Decide command{
      {decision.principal.name, std::string(auth::to_name(decision.principal.role)),
       decision.principal.groups},
      decision.approve,
      std::move(decision.comment),
      options_.one_person};
  auto events = engine::decide_approval(run->state, node, command, ambient(now));
  if (!events) return done(events.error());
  record(*run, std::move(*events), now);
  reply_after_commit(
      [done = std::move(done), shown = approval_json(run->state, run->state.jobs[node])](
          const Status& status) { status ? done(shown) : done(status.error()); });
}
}  // namespace mc::conductor
