// The judge of a world: builds every run anew from nothing but what became durable, and compares
// that with what the server showed, granted and acknowledged. Keeps the first violation.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "base/rng.h"
#include "conductor/core.h"
#include "engine/state.h"
#include "sim/rules.h"
#include "sim/timeline.h"

namespace mc::sim {

class Checker {
 public:
  Checker(const Timeline& timeline, const conductor::Options& options,
          std::function<void(const std::string&)> trace)
      : timeline_(timeline),
        trace_(std::move(trace)),
        lease_(options.lease),
        open_runs_max_(options.open_runs_max) {}

  // Tells the trace, when there is one, with the time.
  void note(const std::string& what) const;

  // --- what happened ---
  // The store took a batch. Requires: called for each, in order.
  void durable(const db::Batch& batch);
  // The same, from the replica that `holder` names, under an epoch of its lease.
  void durable(const db::Batch& batch, std::int64_t epoch, const std::string& holder);
  // The database gave the lease to somebody, under a new epoch.
  void leads(std::int64_t epoch);
  // The server read everything back at `now` of its own clock: every lease begins anew.
  void recovered(Instant now);

  // --- what the server said, checked at the moment it is said: before it is on the network ---
  void refused_commit(const Error& error);  // by the store, without an injected fault
  // Whose answer the following is: of the replica that led under this epoch. 0: the only server.
  void speaks(std::int64_t epoch);
  void started(const conductor::RunView& view, const std::string& request);
  void acknowledged_cancel(Uuid run);
  void acknowledged_signal(const std::string& token);
  void acknowledged_vote(const std::string& token);
  void acknowledged_delete(Uuid run);
  void acknowledged_workflow(const conductor::WorkflowVersion& version, db::Store& store);
  void shown(const conductor::RunView& view);
  void granted(const std::string& worker_id, const Task& task);
  void settled(const std::string& task_id, std::int64_t fence, bool accepted);
  void renewed(const wire::TaskHold& hold, Instant now);
  // A follower heard of an event; `last` is the last seq it heard of this run (0: none yet).
  void followed(const conductor::FeedEvent& event, std::int64_t last);

  // No fault has happened for a while: what a lost worker held must have been taken back by now.
  // `now`: the server's clock.
  void overdue(Instant now);

  // --- the end ---
  bool all_final() const { return open_.empty(); }
  // Reads the whole store and compares. `stuck`: faults are long over and runs are still open.
  void finish(db::Store& store, bool stuck);
  // A server that has read everything back, or remembers it, shows each run as the log has it.
  void compare(conductor::Core& core, const std::string& who);

  void violated(std::string what);
  const std::string& violation() const { return violation_; }
  std::int64_t runs() const { return static_cast<std::int64_t>(shadows_.size()); }
  std::int64_t events() const { return events_; }
  // FNV-1a over everything that became durable, in order.
  std::uint64_t fingerprint() const { return fingerprint_; }
  // An open run, or one that ended, by chance: what clients talk about.
  Uuid any_open(Rng& rng) const;
  Uuid any_final(Rng& rng) const;
  const engine::RunState* find(Uuid run) const;

 private:
  struct Grant {
    std::string worker_id;  // who was told of it; empty: nobody yet
    Instant lease_end;
    bool over = false;  // a result for it was accepted
  };
  using GrantKey = std::tuple<Uuid, NodeIndex, std::int64_t>;  // run, node, fence
  struct Shadow {
    engine::RunState state;
    Rules rules;
    std::vector<Event> log;
    bool deleted = false;
  };

  void write(const db::RunWrite& write);
  void one_event(const engine::RunState& before, const Event& event);
  void compare(const Shadow& shadow, const db::RunWrite& write);
  void limits();
  void concurrency();
  void run_keys();
  Grant* find_grant(const std::string& task_id, std::int64_t fence);
  Shadow* find_shadow(Uuid run);

  const Timeline& timeline_;
  const std::function<void(const std::string&)> trace_;
  const Millis lease_;
  const int open_runs_max_;
  std::unordered_map<Uuid, Shadow> shadows_;
  std::set<Uuid> open_;
  std::vector<Uuid> final_;
  std::unordered_map<std::string, engine::DefinitionRef> definitions_;
  std::map<GrantKey, Grant> grants_;
  std::map<std::string, Uuid> requests_;  // client's request → the one run that it made
  std::set<std::string> fires_;           // schedule and time
  std::set<std::string> signals_, votes_;
  std::map<std::int64_t, std::string> holders_;  // epoch → the one that committed under it
  std::int64_t epoch_ = 0;                       // of the lease, as the database has it
  Instant recovered_;
  std::int64_t events_ = 0;
  std::uint64_t fingerprint_ = 0xcbf29ce484222325ULL;
  std::string violation_;
};

}  // namespace mc::sim
