#include "sim/client_node.h"

#include <fmt/format.h>

#include "base/json.h"
#include "sim/workload.h"

namespace mc::sim {
namespace {
constexpr Millis kPatience{3'000};
constexpr Millis kHelpEvery{60'000};
using conductor::Core;
using conductor::Done;
using conductor::RunView;
}  // namespace

ClientNode::ClientNode(std::string name, Timeline& timeline, Network& network, Servers& servers,
                       Checker& checker, std::uint64_t seed)
    : name_(std::move(name)),
      timeline_(timeline),
      network_(network),
      servers_(servers),
      checker_(checker),
      rng_(seed),
      who_{name_, auth::Role::admin, "default", {}, name_} {}

template <class T>
void ClientNode::ask(Ask<T> request, std::function<void(const Result<T>&)> done, int tries) {
  auto answered = std::make_shared<bool>(false);
  const int at = at_;
  const auto handle = [this, request, done, answered, at](Core& core, Instant now,
                                                          const Exit& exit) {
    request(core, now, [this, done, answered, at, exit](const Result<T>& reply) {
      if (!exit.open()) return;
      checker_.speaks(exit.epoch);
      done(reply);
      if (!exit.whole()) return;
      // A server that could not say is asked again, as is one that says nothing.
      const bool passing = !reply && http_status(reply.error().code) >= 500;
      network_.send(name_, servers_.name(at),
                    [answered, passing] { *answered = *answered || !passing; });
    });
  };
  network_.send(name_, servers_.name(at),
                [this, at, handle] { servers_.receive(at, {handle, [](const Error&) {}}); });
  if (tries <= 1) return;
  timeline_.after(kPatience, [this, request, done, answered, tries, at] {
    if (*answered) return;
    if (at == at_) at_ = (at + 1) % servers_.count();
    ask<T>(request, done, tries - 1);
  });
}

std::string ClientNode::token() { return fmt::format("{}-{}", name_, ++tokens_); }

void ClientNode::begin(Millis between_acts) {
  between_acts_ = between_acts;
  put_workflows();
  act();
}

void ClientNode::wind_down() {
  winding_down_ = true;
  for (int i = 0; i < kStoredWorkflows; ++i) {
    ask<bool>(
        [this, i](Core& core, Instant now, Done<bool> done) {
          core.delete_workflow(who_, fmt::format("w{}", i), now, std::move(done));
        },
        [](const Result<bool>&) {}, 50);
  }
  for (int i = 0; i < kHelpEvery / Millis(1'000) / 3; ++i) vote();
  if (const Uuid run = checker_.any_open(rng_)) signal(run);
  schedules();
  if (!checker_.all_final()) timeline_.after(kHelpEvery, [this] { wind_down(); });
}

void ClientNode::act() {
  if (winding_down_) return;
  switch (rng_.below(14)) {
    case 0:
    case 1:
    case 2: start(); break;
    case 3: rerun(); break;
    case 4: cancel(); break;
    case 5: remove(); break;
    case 6:
    case 7:
      if (const Uuid run = checker_.any_open(rng_)) signal(run);
      break;
    case 8:
    case 9:
    case 10: vote(); break;
    case 11: follow(); break;
    case 12: rng_.chance(0.3) ? put_workflows() : schedules(); break;
    default: look(); break;
  }
  const auto most = static_cast<std::uint64_t>(2 * between_acts_.count());
  timeline_.after(Millis(static_cast<std::int64_t>(rng_.below(most))), [this] { act(); });
}

// --- writing ---

void ClientNode::put_workflows() {
  for (int i = 0; i < kChildWorkflows; ++i)
    put_workflow(fmt::format("child{}", i), random_child_definition(rng_));
  for (int i = 0; i < kStoredWorkflows; ++i)
    put_workflow(fmt::format("w{}", i),
                 i == 0 ? random_scheduled_definition(rng_) : random_definition(rng_));
}

void ClientNode::put_workflow(const std::string& name, const std::string& text) {
  ask<conductor::WorkflowVersion>(
      [this, name, text](Core& core, Instant now, Done<conductor::WorkflowVersion> done) {
        core.put_workflow(who_, name, text, now, std::move(done));
      },
      [this](const Result<conductor::WorkflowVersion>& version) {
        if (version) checker_.acknowledged_workflow(*version, servers_.disk());
      });
}

void ClientNode::start() {
  conductor::StartRun request;
  request.principal = who_;
  if (rng_.chance(0.7)) {
    request.workflow = fmt::format("w{}", rng_.below(kStoredWorkflows));
  } else {
    request.definition = random_definition(rng_);
  }
  request.inputs = Value(Object{{"flag", Value(rng_.chance(0.5))}});
  if (rng_.chance(0.2)) {
    request.run_key = fmt::format("key{}", rng_.below(3));
    request.on_conflict = static_cast<conductor::OnConflict>(rng_.below(3));
  }
  const std::string key = token();
  request.labels = {{"request", key}};
  request.idempotency = conductor::Idempotency{"default/" + name_, key, "digest of " + key};
  ask<RunView>([request](Core& core, Instant now,
                         Done<RunView> done) { core.start_run(request, now, std::move(done)); },
               [this, key, shared = !request.run_key.empty()](const Result<RunView>& view) {
                 if (!view) return;
                 // With a run key the answer may be another client's run.
                 shared ? checker_.shown(*view) : checker_.started(*view, key);
               });
}

void ClientNode::rerun() {
  const Uuid run = checker_.any_final(rng_);
  if (!run) return;
  conductor::Rerun request{.principal = who_, .run = run};
  request.scope = static_cast<conductor::Rerun::Scope>(rng_.below(3));
  request.from = fmt::format("j{}", rng_.below(4));
  request.latest_definition = rng_.chance(0.3);
  request.accept_effects = rng_.chance(0.8);
  const std::string key = token();
  request.idempotency = conductor::Idempotency{"default/" + name_, key, "digest of " + key};
  ask<RunView>([request](Core& core, Instant now,
                         Done<RunView> done) { core.rerun(request, now, std::move(done)); },
               [this, key](const Result<RunView>& view) {
                 if (view) checker_.started(*view, key);
               });
}

void ClientNode::cancel() {
  const Uuid run = checker_.any_open(rng_);
  if (!run) return;
  ask<RunView>(
      [this, run](Core& core, Instant now, Done<RunView> done) {
        core.cancel_run(who_, run, "no longer wanted", now, std::move(done));
      },
      [this, run](const Result<RunView>& view) {
        if (view) checker_.acknowledged_cancel(run);
      });
}

void ClientNode::remove() {
  const Uuid run = rng_.chance(0.8) ? checker_.any_final(rng_) : checker_.any_open(rng_);
  if (!run || rng_.chance(0.5)) return;
  ask<bool>([this, run](Core& core, Instant now,
                        Done<bool> done) { core.delete_run(who_, run, now, std::move(done)); },
            [this, run](const Result<bool>& deleted) {
              if (deleted) checker_.acknowledged_delete(run);
            });
}

void ClientNode::signal(Uuid run) {
  const std::string data = token();
  ask<RunView>(
      [this, run, data](Core& core, Instant now, Done<RunView> done) {
        core.signal(who_, run, kSignalName, Value(data), now, std::move(done));
      },
      [this, data](const Result<RunView>& view) {
        if (view) checker_.acknowledged_signal(data);
      },
      2);
}

// Reads the list of approvals, as the console does, and votes on one.
void ClientNode::vote() {
  auto seen = std::make_shared<bool>(false);
  ask<std::string>(
      [this](Core& core, Instant, Done<std::string> done) {
        core.approvals(who_, "waiting", std::move(done));
      },
      [this, seen](const Result<std::string>& list) {
        if (!list || std::exchange(*seen, true)) return;
        const auto body = parse_json(*list);
        const List& items = body->find("items")->as_list();
        if (items.empty()) return;
        const auto id = parse_uuid(items[rng_.below(items.size())].string_or("id", ""));
        const conductor::Decision decision{.principal = who_,
                                           .approval = *id,
                                           .run = {},
                                           .job = {},
                                           .approve = rng_.chance(0.8),
                                           .comment = token()};
        ask<std::string>(
            [decision](Core& core, Instant now, Done<std::string> done) {
              core.decide(decision, now, std::move(done));
            },
            [this, decision](const Result<std::string>& approval) {
              if (approval) checker_.acknowledged_vote(decision.comment);
            });
      },
      1);
}

// --- reading ---

void ClientNode::look() {
  const Uuid run = rng_.chance(0.7) ? checker_.any_open(rng_) : checker_.any_final(rng_);
  if (!run) return;
  const bool waits = rng_.chance(0.5);
  ask<RunView>(
      [this, run, waits](Core& core, Instant now, Done<RunView> done) {
        if (waits) return core.wait_run(who_, run, now + Millis(5'000), std::move(done));
        core.run(who_, run, std::move(done));
      },
      [this](const Result<RunView>& view) {
        if (view) checker_.shown(*view);
      },
      1);
  ask<std::string>(
      [this, run](Core& core, Instant now, Done<std::string> done) {
        core.why(who_, run, "", now, std::move(done));
      },
      [](const Result<std::string>&) {}, 1);
}

void ClientNode::follow() {
  const Uuid run = rng_.chance(0.5) ? checker_.any_open(rng_) : Uuid{};
  const int at = at_;
  const auto handle = [this, run](Core& core, Instant, const Exit&) {
    auto last = std::make_shared<std::map<Uuid, std::int64_t>>();
    // What is on its way to a follower is not held back when another replica leads: it is durable.
    core.subscribe(rng_.next(), who_, run, [this, last](const conductor::FeedEvent& event) {
      std::int64_t& seq = (*last)[event.run];
      checker_.followed(event, seq);
      seq = event.event.seq;
    });
  };
  network_.send(name_, servers_.name(at),
                [this, at, handle] { servers_.receive(at, {handle, [](const Error&) {}}); });
}

void ClientNode::schedules() {
  const bool remove = winding_down_;
  ask<std::string>([this](Core& core, Instant now,
                          Done<std::string> done) { core.schedules(who_, now, std::move(done)); },
                   [this, remove](const Result<std::string>& list) {
                     if (!list) return;
                     const auto body = parse_json(*list);
                     for (const Value& item : body->find("items")->as_list()) {
                       const std::string id = item.string_or("id", "");
                       const char* actions[] = {"pause", "resume", "run_now"};
                       const std::string action = remove ? "delete" : actions[rng_.below(3)];
                       ask<std::string>(
                           [this, id, action](Core& core, Instant now, Done<std::string> done) {
                             core.schedule_action(who_, id, action, now, std::move(done));
                           },
                           [](const Result<std::string>&) {});
                     }
                   },
                   1);
}

}  // namespace mc::sim
