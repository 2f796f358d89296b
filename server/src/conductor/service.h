// The one way in to runs: every call of the API, of workers and of timers ends here.
//
// A Service owns the conductor's thread and the committer's. Every method may be called from any
// thread and returns at once; `done` is called exactly once, on the conductor's thread, after what
// it reports is durable. It must not block: hand work on to your own thread. Once stop() was
// called, methods answer with shutting_down, on the caller's thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/principal.h"
#include "base/error.h"
#include "base/time.h"
#include "base/uuid.h"
#include "base/value.h"
#include "blob/blob_store.h"
#include "db/store.h"
#include "model/event.h"
#include "model/task.h"
#include "wire/offer.h"
#include "wire/task_codec.h"

namespace mc::conductor {

template <class T>
using Done = std::function<void(Result<T>)>;

// True once nobody waits for an answer any more; null: somebody does.
using Gone = std::shared_ptr<const std::atomic<bool>>;
// What is said with the answer of a poll; written before it is given.
struct PollAside {
  bool drains = false;             // the worker was given nothing for that
  std::optional<wire::Next> next;  // when PollRequest::wants_next is set, and it can be said
};

struct Options {
  std::string public_url = "http://127.0.0.1:4000";  // for `run.url` and links
  Millis heartbeat{2'000};                           // told to workers
  Millis lease{15'000};  // a task without a heartbeat for this long is lost
  int open_runs_max = 200'000;
  std::uint64_t seed = 0;  // for ids; 0: from the operating system
  // Name of the worker that lives in this process: what it held when the process died is lost at
  // once, without waiting for the lease. Empty: none.
  std::string embedded_worker;
  // A snapshot of a run is kept when that many events have come since the last, and twice as many
  // as it has nodes, because it costs as much as all nodes.
  std::int64_t snapshot_every = 200;
  bool watchdog = true;  // checks "nothing waits without a reason" once a minute
  std::function<void(const std::string&)> report;  // hears what the watchdog finds; any thread
  Millis keep_receipts{24 * 3'600'000};
  Millis keep_deleted_runs{7 * 24 * 3'600'000};
  Millis keep_artifacts{90LL * 24 * 3'600'000};  // those that do not say themselves
  // A run on somebody's own machine: whoever decides an approval stands for all who may.
  bool one_person = false;
  // Drops what is out of date and belongs to no project: one of several on one store does. Each
  // removes the deleted runs of its own projects, whose logs nobody else may have open.
  bool housekeeps = true;
  // Decides for the projects of this one of so many shards (db/shard.h), and for no others.
  int shard = 0, shards = 1;
  // What the ids of tasks given here begin with ("s3."), so that who passes calls on knows where
  // they belong. Empty: nothing. Ids without it are known, too.
  std::string task_prefix;
  // Called on the conductor's thread, once after a round of its loop in which jobs became ready, or
  // could be given again, when some are left that no poll here takes: a poll that comes next may
  // get them. Also at the start, perhaps before start() has returned. Not again before something
  // changes. It must not block; it may call the Service.
  std::function<void()> on_ready;
  // How much of the workers a project gets beside others, by its name; not named: 1. None is less.
  std::map<std::string, int> project_weights;
};

// An idempotency key as it came with a request: same scope, key and digest get the first answer.
struct Idempotency {
  std::string scope;  // project and token
  std::string key;
  std::string request_digest;  // over method, path and body
};

enum class OnConflict : std::uint8_t { reject, use_existing, cancel_existing };

struct StartRun {
  auth::Principal principal;
  std::string workflow;      // exactly one of workflow and definition
  std::string definition;    // YAML text
  std::int64_t version = 0;  // 0: the newest
  Value inputs = Object{};
  std::string ref, commit, repository;
  std::vector<std::pair<std::string, std::string>> labels;
  std::string run_key;
  OnConflict on_conflict = OnConflict::reject;
  Value trigger = Object{};  // {kind: api | manual | webhook | schedule | …, …}
  Value event;
  std::optional<Idempotency> idempotency;
};

// A run as the API shows it.
struct RunView {
  std::string json;
  std::string etag;  // changes whenever the run does
  Uuid id;
  RunStatus status = RunStatus::queued;
  bool existing = false;  // start_run: an older answer (idempotency key, run_key with use_existing)
  int replayed = 0;       // the HTTP status of that answer, when an idempotency key brought it back
};

struct Rerun {
  auth::Principal principal;
  Uuid run;
  enum class Scope : std::uint8_t { all, failed, from } scope = Scope::all;
  std::string from;             // job key, for `from`
  std::optional<Value> inputs;  // replaces those given
  bool latest_definition = false;
  bool accept_effects = false;
  std::optional<Idempotency> idempotency;
};

struct Decision {
  auth::Principal principal;
  Uuid approval;  // or run and job:
  Uuid run;
  std::string job;  // empty: the only waiting approval of the run, else conflict naming them
  bool approve = false;
  std::string comment;
};

struct WorkflowVersion {
  std::string name;
  std::int64_t version = 0;
  std::string digest;
  Instant created_at;
  bool created = false;  // put_workflow: a new name
  std::string text;
};

struct ScheduleView {
  std::string json;
};

// Where a task's log goes, once its fence was checked.
struct LogTarget {
  Uuid run;
  NodeIndex node = 0;
  std::string job;
  int attempt = 1;
};

// One committed event, for followers.
struct FeedEvent {
  std::int64_t position = 0;
  Uuid run;
  Event event;
  std::string json;  // {seq, type, time, data} as the API shows it; data also names run, job, …
};

class Service {
 public:
  // Reads every open run back into memory. Errors: data_folder or store_failed, with what to do.
  static Result<std::unique_ptr<Service>> start(db::Store& store, blob::BlobStore& blobs,
                                                Clock& clock, Options options);
  ~Service();  // stop()
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // --- runs (operate) ---
  void start_run(StartRun request, Done<RunView> done);
  void cancel_run(auth::Principal by, Uuid run, std::string message, Done<RunView> done);
  void rerun(Rerun request, Done<RunView> done);
  void delete_run(auth::Principal by, Uuid run, Done<bool> done);
  void signal(auth::Principal by, Uuid run, std::string event, Value data, Done<RunView> done);
  void decide(Decision decision, Done<std::string> done);  // the approval's JSON

  // --- reading (read): JSON as the API shows it ---
  void run(auth::Principal by, Uuid id, Done<RunView> done);
  // Answers when the run is final, or with what it is at `until`.
  void wait_run(auth::Principal by, Uuid id, Instant until, Done<RunView> done);
  void jobs(auth::Principal by, Uuid id, Done<std::string> done);  // {items: […]}
  void job(auth::Principal by, Uuid id, std::string key, Done<std::string> done);
  void graph(auth::Principal by, Uuid id, Done<std::string> done);      // {nodes, edges}
  void artifacts(auth::Principal by, Uuid id, Done<std::string> done);  // {items}
  // {items}; `status`: waiting, approved, rejected, expired, cancelled, decided, or "" for all.
  void approvals(auth::Principal by, std::string status, Done<std::string> done);  // of open runs
  void run_approvals(auth::Principal by, Uuid id, std::string status, Done<std::string> done);
  void why(auth::Principal by, Uuid id, std::string job, Done<std::string> done);  // {items: […]}
  // Where a job's log lies; attempt 0: the newest. Errors: run_not_found, job_not_found.
  void log_target(auth::Principal by, Uuid id, std::string key, int attempt, Done<LogTarget> done);
  // Events of one run after the sequence number `after`, ready for the API. Reads the store.
  void events(auth::Principal by, Uuid run, std::int64_t after, int limit,
              Done<std::vector<FeedEvent>> done);
  // Those of `groups`, which were read from the feed, that are of the project's runs.
  void feed(auth::Principal by, std::vector<db::FeedGroup> groups,
            Done<std::vector<FeedEvent>> done);
  // Calls `listener` on the conductor's thread for each event committed from now on (run 0: all of
  // the project). Returns a ticket for unsubscribe.
  std::uint64_t subscribe(auth::Principal by, Uuid run,
                          std::function<void(const FeedEvent&)> listener);
  void unsubscribe(std::uint64_t ticket);

  // --- workflows (administer to write) ---
  // Requires: `text` parsed without errors by lang::parse_workflow, which gave `name` and `digest`.
  void put_workflow(auth::Principal by, std::string name, std::string text,
                    Done<WorkflowVersion> done);
  void delete_workflow(auth::Principal by, std::string name, Done<bool> done);
  // Stored versions are read with store(): records "workflow" and "workflow_version" (records.h).

  // --- schedules: made from definitions (`on.schedule`) or by POST ---
  void schedules(auth::Principal by, Done<std::string> done);  // {items} with next fires
  // action: pause | resume | run_now | delete
  void schedule_action(auth::Principal by, std::string id, std::string action,
                       Done<std::string> done);
  void create_schedule(auth::Principal by, std::string workflow, Value spec,
                       Done<std::string> done);
  void backfill(auth::Principal by, std::string id, Instant from, Instant to, bool dry_run,
                Done<std::string> done);

  // --- workers ---
  void register_worker(auth::Principal by, wire::RegisterRequest request,
                       Done<wire::RegisterReply> done);
  // Answers at once when there is work, else when some comes or wait_ms is over (then empty).
  // Nothing is granted to a poll whose caller is gone. `aside` may be null.
  void poll(wire::PollRequest request, Gone gone, Done<std::vector<Task>> done,
            std::shared_ptr<PollAside> aside = nullptr);
  void heartbeat(wire::HeartbeatRequest request, Done<wire::HeartbeatReply> done);
  void complete(wire::CompleteRequest request, Done<wire::CompleteReply> done);
  // Errors: fenced, worker_not_found.
  void check_hold(std::string task_id, std::int64_t fence, Done<LogTarget> done);
  void workers(auth::Principal by, Done<std::string> done);  // {items}
  void drain_worker(auth::Principal by, std::string worker_id, bool drain, Done<std::string> done);

  // --- small documents: tokens, secrets, variables, cache entries (see records.h) ---
  void put_records(std::vector<db::RecordPut> puts, std::optional<db::Receipt> receipt,
                   Done<bool> done);
  // For reads; see db::Store's thread rule.
  db::Store& store();
  blob::BlobStore& blobs();

  // Tells secrets to jobs that name them: called on the conductor's thread when a task is granted.
  // nullopt: no such secret.
  void set_secret_source(
      std::function<std::optional<std::string>(std::string_view project, std::string_view name)>
          source);

  struct Health {
    bool ready = false;  // recovery is over and the last commit went well
    std::string detail;  // why not
    std::int64_t open_runs = 0, ready_jobs = 0, running_jobs = 0, workers = 0, commits = 0,
                 events = 0, runs_started = 0, jobs_finished = 0, stuck_runs = 0;
  };
  Health health() const;
  // Refuses new runs and grants from now on; running tasks may complete.
  void drain();
  // Takes nothing more, finishes commits in flight, answers everything that waits (polls: nothing;
  // wait_run: what the run is; others: as decided, or shutting_down) and ends the threads. When it
  // has returned, neither store nor blobs nor Options' functions are used by this object any more;
  // store() and blobs() still name them. A second call does nothing, and returns after the first.
  // With an Api before it: Api::stop() first; then store and blobs may go. Requires: not on the
  // conductor's thread, where `done` and listeners are called.
  void stop();

 private:
  class Loop;
  explicit Service(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace mc::conductor
