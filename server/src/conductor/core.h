// The conductor itself, without threads: every request and every moment of time goes through here,
// one after the other. What was decided is gathered into a commit; replies and grants wait until
// the commit is durable. Deterministic for the same calls, times and seed: the simulator drives it
// too.
//
// How to drive it: call requests and tick(now); then take_commit(); commit its batch; hand it back
// to finish_commit() with the result. Several commits may not be in flight at once.
//
// Thread rule: single owner (the loop of service.cc).
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/rng.h"
#include "conductor/dispatcher.h"
#include "conductor/history.h"
#include "conductor/locks.h"
#include "conductor/records_ahead.h"
#include "conductor/schedules.h"
#include "conductor/service.h"
#include "conductor/timer_wheel.h"
#include "engine/decide.h"
#include "engine/rerun.h"

namespace mc::conductor {

// What one transaction carries, and what waits for it.
struct Commit {
  // Events of one run that followers hear of once they are durable; also those followers who come
  // while the commit is on its way.
  struct Fresh {
    Uuid run;
    std::string project;
    std::vector<Event> events;
  };
  db::Batch batch;
  std::vector<Fresh> fresh;
  std::vector<std::function<void(const Status&)>> after;  // called in order by finish_commit
  bool empty() const { return batch.empty() && after.empty(); }
};

// Every parent, attempt and node has one child, however often it is asked for.
Uuid child_id(const engine::RunState& parent, NodeIndex node, int attempt);

// What a job needs of a worker.
JobWants wants_of(const engine::RunState& run, const engine::JobState& job);

class Core {
 public:
  Core(db::Store& store, Options options);

  // Reads every open run. Requires: called once, first.
  Status recover(Instant now);
  // False: a commit failed and what is stored could not be read back yet; nobody may be answered
  // from memory. tick() tries again. Requires: no request while this is so.
  bool usable() const { return usable_; }
  const Options& options() const { return options_; }
  // Timers, leases, schedules, polls whose time is over. Cheap when nothing is due.
  void tick(Instant now);
  // When tick has something to do next; 0: never.
  Instant next_wake() const;
  // What was decided since the last call. Requires: the one before was finished.
  Commit take_commit();
  bool has_commit() const { return !pending_.empty() || !touched_.empty(); }
  void finish_commit(Commit commit, const Status& result, Instant now);

  // --- requests; `now` is the moment they are decided ---
  void start_run(StartRun request, Instant now, Done<RunView> done);
  void cancel_run(const auth::Principal& by, Uuid run, std::string message, Instant now,
                  Done<RunView> done);
  void rerun(Rerun request, Instant now, Done<RunView> done);
  void delete_run(const auth::Principal& by, Uuid run, Instant now, Done<bool> done);
  void signal(const auth::Principal& by, Uuid run, std::string event, Value data, Instant now,
              Done<RunView> done);
  void decide(Decision decision, Instant now, Done<std::string> done);

  // Answers from what is known, once everything it shows is durable.
  void read(const auth::Principal& by, Uuid run,
            const std::function<Result<std::string>(const engine::RunState&)>& show,
            Done<std::string> done);
  void run(const auth::Principal& by, Uuid id, Done<RunView> done);
  void wait_run(const auth::Principal& by, Uuid id, Instant until, Done<RunView> done);
  void log_target(const auth::Principal& by, Uuid id, const std::string& key, int attempt,
                  Done<LogTarget> done);
  void approvals(const auth::Principal& by, const std::string& status, Done<std::string> done);
  void why(const auth::Principal& by, Uuid id, const std::string& job, Instant now,
           Done<std::string> done);
  void events(const auth::Principal& by, Uuid run, std::int64_t after, int limit,
              Done<std::vector<FeedEvent>> done);
  void feed(const auth::Principal& by, const std::vector<db::FeedGroup>& groups,
            Done<std::vector<FeedEvent>> done);
  void subscribe(std::uint64_t ticket, const auth::Principal& by, Uuid run,
                 std::function<void(const FeedEvent&)> listener);
  void unsubscribe(std::uint64_t ticket);

  void put_workflow(const auth::Principal& by, const std::string& name, const std::string& text,
                    Instant now, Done<WorkflowVersion> done);
  void delete_workflow(const auth::Principal& by, const std::string& name, Instant now,
                       Done<bool> done);

  void schedules(const auth::Principal& by, Instant now, Done<std::string> done);
  void schedule_action(const auth::Principal& by, const std::string& id, const std::string& action,
                       Instant now, Done<std::string> done);
  void create_schedule(const auth::Principal& by, const std::string& workflow, const Value& spec,
                       Instant now, Done<std::string> done);
  void backfill(const auth::Principal& by, const std::string& id, Instant from, Instant to,
                bool dry_run, Instant now, Done<std::string> done);

  void register_worker(const auth::Principal& by, const wire::RegisterRequest& request, Instant now,
                       Done<wire::RegisterReply> done);
  void poll(const wire::PollRequest& request, Instant now, Done<std::vector<Task>> done,
            Gone gone = nullptr, std::shared_ptr<PollAside> aside = nullptr);
  void heartbeat(const wire::HeartbeatRequest& request, Instant now,
                 Done<wire::HeartbeatReply> done);
  void complete(const wire::CompleteRequest& request, Instant now, Done<wire::CompleteReply> done);
  void check_hold(const std::string& task_id, std::int64_t fence, Done<LogTarget> done);
  void workers(Instant now, Done<std::string> done);
  void drain_worker(const std::string& worker_id, bool drain, Instant now, Done<std::string> done);

  void put_records(std::vector<db::RecordPut> puts, std::optional<db::Receipt> receipt,
                   Done<bool> done);
  void set_secret_source(
      std::function<std::optional<std::string>(std::string_view, std::string_view)> source) {
    secret_source_ = std::move(source);
  }
  void drain() { draining_ = true; }
  // Whether, since the last call, jobs became ready, or could be given again, and some are left
  // that no poll here takes.
  bool take_left_ready() { return std::exchange(left_ready_, false); }
  // Answers everything that waits: polls with nothing, wait_run with what the run is, the rest with
  // shutting_down. Requires: nothing decided waits for a commit that could succeed; the last call.
  void close();
  Service::Health health() const;

 private:
  // What a timer is for. All of them stand on one wheel.
  enum class TimerKind { run, lease, waiter, poller, schedules, again };
  struct TimerKey {
    TimerKind kind = TimerKind::run;
    Uuid run;                  // run, lease
    NodeIndex node = 0;        // lease
    std::uint64_t ticket = 0;  // waiter, again, poller
  };
  using Timer = TimerWheel<TimerKey>::Timer;

  // An open run, or one whose end is not durable yet.
  struct HotRun {
    explicit HotRun(engine::RunState from)
        : state(std::move(from)), timer({.kind = TimerKind::run, .run = state.id}) {}
    engine::RunState state;
    Timer timer;                  // engine::next_due
    std::vector<Event> fresh;     // decided, not in a commit yet
    std::int64_t stored_seq = 0;  // last seq handed to a commit
    std::int64_t snapshot_seq = 0;
    bool touched = false;
    std::vector<std::uint64_t> waiters;  // tickets of wait_run
  };
  struct Poller {
    explicit Poller(std::uint64_t ticket) : timer({.kind = TimerKind::poller, .ticket = ticket}) {}
    std::string worker_id;
    int max = 1;
    int priority_min = kPriorityMin;
    Instant until;
    Done<std::vector<Task>> done;
    Gone gone;
    std::shared_ptr<PollAside> aside;  // null: nobody wants to know what comes next
    Timer timer;
    bool is_gone() const { return gone != nullptr && gone->load(std::memory_order_relaxed); }
  };
  struct Lease {
    explicit Lease(const TimerKey& key) : timer(key) {}
    Instant expires;
    std::int64_t fence = 0;
    Dispatcher::Running job;
    std::string instance;  // the worker's; empty: granted before this conductor began
    Timer timer;
  };
  struct RunWaiter {
    RunWaiter(Uuid id, Done<RunView> answer, std::uint64_t ticket)
        : run(id), done(std::move(answer)), timer({.kind = TimerKind::waiter, .ticket = ticket}) {}
    Uuid run;
    Done<RunView> done;
    Timer timer;
  };
  // What the store could not be asked about: tried again a little later.
  struct Again {
    Again(std::function<void(Instant)> what, std::uint64_t ticket)
        : action(std::move(what)), timer({.kind = TimerKind::again, .ticket = ticket}) {}
    std::function<void(Instant)> action;
    Timer timer;
  };
  struct Subscriber {
    std::string project;
    Uuid run;
    std::function<void(const FeedEvent&)> listener;
  };
  struct TaskKey {
    Uuid run;
    NodeIndex node = 0;
    auto operator<=>(const TaskKey&) const = default;
  };
  // What a new run is made of, whoever asks for it.
  struct NewRun {
    Uuid id;
    RunQueued facts;
    engine::DefinitionRef definition;
    OnConflict on_conflict = OnConflict::reject;
    std::optional<Idempotency> idempotency;
  };

  // core.cc: the table of runs and the commit
  engine::Ambient ambient(Instant now) const { return {now, options_.public_url}; }
  HotRun* find_hot(Uuid id);
  // The run, hot or read back. Errors: run_not_found (also when deleted or of another project).
  Result<const engine::RunState*> find_run(const auth::Principal& by, Uuid id);
  Result<engine::RunState> rebuild(const db::StoredRun& stored);
  Result<std::shared_ptr<const engine::RunState>> load_cold(Uuid id);
  std::shared_ptr<const engine::RunState> keep_cold(engine::RunState state);
  void answer_waiter(std::uint64_t ticket);
  void watch(Instant now);
  Result<engine::DefinitionRef> find_definition(const std::string& digest);
  Result<engine::DefinitionRef> read_definition(const std::string& digest, const std::string& text);
  void record(HotRun& run, std::vector<Event> events, Instant now);
  void react(HotRun& run, const Event& event, Instant now);
  void follow_up(Instant now);
  void try_again(std::function<void(Instant)> action, Instant now);
  void fire(const TimerKey& key, Instant now);
  void put_record(std::string_view kind, std::string key, std::optional<std::string> json) {
    records_.put(pending_.batch.records,
                 {std::string(kind), std::move(key), std::move(json), std::nullopt});
  }
  void reply_after_commit(std::function<void(const Status&)> reply) {
    pending_.after.push_back(std::move(reply));
  }
  void publish(const Commit::Fresh& fresh);
  Result<std::vector<Event>> stored_in_place_of(const Commit::Fresh& fresh);
  Status publish_in_doubt();
  void settle_run(Uuid id, Instant now);
  Result<TaskKey> find_approval(const Decision& decision);
  void reset(Instant now);
  RunView view(const engine::RunState& run) const;
  db::RunWrite write_of(HotRun& run);

  // core_runs.cc
  Result<Value> variables_for(const WorkflowSpec& spec, const std::string& project);
  Result<NewRun> prepare_start(StartRun& request, Instant now);
  Result<std::optional<RunView>> replayed(const std::optional<Idempotency>& key);
  Result<RunView> admit(NewRun fresh, Instant now);
  void keep_answer(const std::optional<Idempotency>& key, int status, const RunView& answer,
                   Instant now);
  void keep_receipt(db::Receipt receipt);
  Status make_room(const NewRun& fresh, const std::string& group, const ConcurrencySpec& spec,
                   Instant now);
  Status resolve_run_key(NewRun& fresh, Instant now, std::optional<RunView>& existing);
  Result<HotRun*> open_for_change(const auth::Principal& by, Uuid id);
  void start_child(HotRun& parent, NodeIndex node, Instant now);
  bool waits_for(Uuid run, std::set<Uuid>& asking);
  bool all_wait_for(const std::string& group, std::set<Uuid>& asking);
  void report_child(const engine::RunState& child, Instant now);
  void finish_job_effects(HotRun& run, NodeIndex node, Instant now);
  void stop_child(const engine::RunState& parent, NodeIndex node, int attempt);
  void finish_run_effects(HotRun& run, Instant now);
  void grant_locks(const std::vector<LockOwner>& owners, Instant now);
  void restore_holds(const HotRun& run);
  void restore_effects(HotRun& run, Instant now);

  // core_workers.cc
  // With this core's prefix, or with none.
  std::optional<TaskKey> parse_task_id(std::string_view text) const;
  void note_holds(WorkerInfo& worker, const std::vector<wire::TaskUse>& holds);
  Status make_way(const wire::RegisterRequest& request, Instant now);
  Status come_beside(const wire::RegisterRequest& request, Instant now);
  void lose_tasks_of(const std::string& instance, Instant now);
  bool is_polling(const WorkerInfo& worker, Instant now) const;
  bool is_here(const WorkerInfo& worker, Instant now) const;
  bool is_ready(const ReadyJob& job);
  std::vector<Task> take_tasks(WorkerInfo& worker, int max, int priority_min, Instant now);
  std::optional<wire::Offer> next_for(const WorkerInfo& worker);
  // Whether this conductor, and no other, decides for that project.
  bool owns(std::string_view project) const;
  std::optional<Task> grant(const ReadyJob& ready, WorkerInfo& worker, Instant now);
  // Jobs that became ready, or fit since the last time, for those who wait; answers those whose
  // time is over. Costs nothing when nothing changed, however many wait.
  void match_pollers(Instant now);
  using Pollers = std::map<std::uint64_t, Poller>;  // by ticket, in the order they came
  // Answers one when there are tasks for it, or nothing to wait for: then it is gone.
  Pollers::iterator offer(Pollers::iterator poller, Instant now);
  Lease& set_lease(const engine::RunState& run, NodeIndex node, Instant expires);
  void drop_lease(Uuid run, NodeIndex node);
  void expire_lease(Uuid run, NodeIndex node, Instant now);
  std::string task_spec(const engine::RunState& run, const engine::JobState& job) const;

  // core_why.cc
  class Waits;

  // core_schedules.cc
  Status load_schedules(Instant now);
  void sync_schedules(const std::string& project, const WorkflowSpec& spec, Instant now);
  void fire_schedules(Instant now);
  void arm_schedules(Instant at);
  Status fire_schedule(Schedule& schedule, Instant at, std::string_view kind, Instant now);
  void catch_up(const std::string& key, Instant at, Instant now);
  void save_schedule(const Schedule& schedule);

  db::Store& store_;
  RecordsAhead records_;
  Options options_;
  Rng rng_;
  TimerWheel<TimerKey> timers_;  // before all that holds a Timer
  std::unordered_map<Uuid, std::unique_ptr<HotRun>> hot_;
  std::vector<Uuid> touched_;
  Commit pending_;
  std::vector<Commit::Fresh> in_doubt_;  // of commits that failed, and may be durable all the same
  std::deque<std::function<void(Instant)>> follow_ups_;
  std::unordered_map<std::string, engine::DefinitionRef> definitions_;
  std::list<std::pair<Uuid, std::shared_ptr<const engine::RunState>>> cold_;  // newest first
  History history_;                                 // of the workflows that `why` was asked about
  std::unordered_map<std::string, Uuid> run_keys_;  // project \n key → open run
  std::set<std::string> receipts_in_flight_;
  std::map<Uuid, TaskKey> approvals_;  // all of open runs, oldest first
  LockTable locks_;
  Dispatcher dispatcher_;
  Pollers pollers_;
  std::vector<std::uint64_t> polls_over_;  // tickets of those whose time is over
  std::map<TaskKey, Lease> leases_;
  std::map<std::uint64_t, RunWaiter> run_waiters_;
  std::map<std::uint64_t, Again> again_;
  std::map<std::uint64_t, Subscriber> subscribers_;
  std::map<std::string, Schedule> schedules_;              // by PROJECT/ID
  Timer schedules_timer_{{.kind = TimerKind::schedules}};  // the first of all their next fires
  std::unordered_map<std::string, std::set<Uuid>> schedule_runs_;  // open runs by schedule key
  std::function<std::optional<std::string>(std::string_view, std::string_view)> secret_source_;
  std::int64_t next_number_ = 1;
  std::uint64_t next_ticket_ = 1;
  Instant last_watch_;
  Instant hold_until_;  // after a failed commit timers rest this long
  bool draining_ = false;
  bool left_ready_ = false;
  bool usable_ = true;
  bool recovered_ = false;  // once in this process
  std::string trouble_;
  Service::Health counters_;
};

}  // namespace mc::conductor
