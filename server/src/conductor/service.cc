#include "conductor/service.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <thread>

#include "base/fault.h"
#include "conductor/core.h"
#include "conductor/housekeep.h"
#include "conductor/render.h"

namespace mc::conductor {

// Two threads: the loop decides, the committer makes durable. While one commit is on its way the
// loop decides the next; batches grow by themselves under load. When nobody else waits, the loop
// commits on its own thread: to hand a single run's commit over and back takes as long as to write
// it.
class Service::Loop {
 public:
  Loop(db::Store& store, blob::BlobStore& blobs, Clock& clock, Options options)
      : store_(store),
        blobs_(blobs),
        clock_(clock),
        options_(options),
        core_(store, std::move(options)) {}

  ~Loop() { stop(); }

  void stop() {
    const std::lock_guard one_at_a_time(stop_mutex_);
    {
      const std::lock_guard lock(inbox_mutex_);
      stopping_ = true;
    }
    inbox_filled_.notify_one();
    if (loop_.joinable()) loop_.join();
    {
      const std::lock_guard lock(commit_mutex_);
      commits_over_ = true;
    }
    commit_given_.notify_one();
    if (committer_.joinable()) committer_.join();
    const std::lock_guard lock(health_mutex_);
    health_.ready = false;
    health_.detail = "stopped";
  }

  Status start() {
    if (const Status recovered = core_.recover(clock_.now()); !recovered) return recovered;
    update_health();
    committer_ = std::thread([this] { commit_loop(); });
    loop_ = std::thread([this] { run(); });
    return {};
  }

  // A request is called once: by the loop with its core, or with null when there will be none.
  using Request = std::function<void(Core*, Instant)>;

  void post(Request request) {
    if (!put_in(request, false)) request(nullptr, {});
  }

  // Has `act` called by the loop with the core, the time and `done`; shutting_down for `done` when
  // this is over.
  template <class T, class Act>
  void ask(Done<T> done, Act act) {
    post([done = std::move(done), act = std::move(act)](Core* core, Instant now) mutable {
      core != nullptr
          ? act(*core, now, std::move(done))
          : done(Error{Code::shutting_down, "the server is stopping: try again soon", {}});
    });
  }

  // Has `act` called by the loop with the core; not at all when this is over.
  template <class Act>
  void tell(Act act) {
    post([act = std::move(act)](Core* core, Instant) mutable {
      if (core != nullptr) act(*core);
    });
  }

  db::Store& store() { return store_; }
  blob::BlobStore& blobs() { return blobs_; }
  Health health() const {
    const std::lock_guard lock(health_mutex_);
    return health_;
  }
  std::uint64_t next_ticket() { return tickets_.fetch_add(1); }

 private:
  // An idle store tidies its files after this long without a commit.
  static constexpr std::chrono::seconds kIdleAfter{2};
  // A store that is never idle drops what is out of date this often.
  static constexpr Millis kHousekeepEvery{60'000};

  // Moves `request` to the inbox. False: this is stopping, and takes only its `own`.
  bool put_in(Request& request, bool own) {
    {
      const std::lock_guard lock(inbox_mutex_);
      if (stopping_ && !own) return false;
      inbox_.push_back(std::move(request));
      if (inbox_.size() > 1) return true;  // the loop was told already
    }
    inbox_filled_.notify_one();
    return true;
  }

  void run() {
    core_.tick(clock_.now());
    settle_round();
    std::deque<Request> requests;
    while (wait_for_work(requests)) {
      const Instant now = clock_.now();
      if (!core_.usable()) core_.tick(now);
      // Requests wait while what is stored cannot be read; any of them may be a commit that failed.
      while (core_.usable() && !requests.empty()) {
        requests.front()(&core_, now);
        requests.pop_front();
      }
      core_.tick(now);
      settle_round();
    }
    for (Request& request : requests) request(nullptr, {});
    core_.close();
  }

  void settle_round() {
    commit_decided();
    if (core_.take_left_ready() && options_.on_ready) options_.on_ready();
    update_health();
  }

  // Adds what has come to `requests`. False: stopping, and everything decided is durable.
  bool wait_for_work(std::deque<Request>& requests) {
    const Instant wake = core_.next_wake();
    std::unique_lock lock(inbox_mutex_);
    const auto filled = [this] { return !inbox_.empty() || (stopping_ && !committing_); };
    if (wake) {
      const Millis delay = std::max(Millis(0), wake - clock_.now());
      inbox_filled_.wait_for(lock, std::min(delay, Millis(60'000)), filled);
    } else {
      inbox_filled_.wait(lock, filled);
    }
    std::move(inbox_.begin(), inbox_.end(), std::back_inserter(requests));
    inbox_.clear();
    return !(stopping_ && !committing_ && (requests.empty() || !core_.usable()));
  }

  // Hands what was decided to the store, here or on the committer's thread.
  void commit_decided() {
    while (!committing_ && core_.has_commit()) {
      Commit commit = core_.take_commit();
      std::unique_lock store(store_mutex_, std::defer_lock);
      // What waits for an empty commit waits for nothing.
      const bool here = commit.batch.empty() ||
                        (commit.batch.runs.size() <= 1 && nobody_waits() && store.try_lock());
      if (!here) {
        hand_over(std::move(commit));
        continue;
      }
      const Status result = commit.batch.empty() ? Status() : write(commit.batch);
      core_.finish_commit(std::move(commit), result, clock_.now());
    }
  }

  bool nobody_waits() {
    const std::lock_guard lock(inbox_mutex_);
    return inbox_.empty();
  }

  // Requires: store_mutex_ is held.
  Status write(const db::Batch& batch) {
    bool was_tidy = false;
    {
      const std::lock_guard lock(commit_mutex_);
      was_tidy = tidied_ == written_++;
    }
    if (was_tidy) commit_given_.notify_one();  // there will be something to tidy
    return store_.commit(batch);
  }

  void hand_over(Commit commit) {
    committing_ = true;
    {
      const std::lock_guard lock(commit_mutex_);
      commit_ = std::move(commit);
    }
    commit_given_.notify_one();
  }

  void commit_loop() {
    while (true) {
      std::optional<Commit> commit;
      {
        std::unique_lock lock(commit_mutex_);
        const auto given = [this] { return commit_.has_value() || commits_over_; };
        commit_given_.wait(lock, [&] { return given() || tidied_ != written_; });
        const std::uint64_t seen = written_;
        if (!commit_given_.wait_for(lock, kIdleAfter, given)) {
          const bool idle = written_ == seen;  // else the loop has been busy itself
          lock.unlock();
          const bool is_done = housekeep(idle);
          lock.lock();
          if (idle && is_done && written_ == seen) tidied_ = written_;
          continue;
        }
        if (!commit_) return;
        commit.swap(commit_);
      }
      std::unique_lock store(store_mutex_);
      Status result = write(commit->batch);
      store.unlock();
      auto done =
          std::make_shared<std::pair<Commit, Status>>(std::move(*commit), std::move(result));
      Request finish = [this, done](Core* core, Instant now) {
        committing_ = false;
        MC_FAULT_POINT("reply.before");
        core->finish_commit(std::move(done->first), done->second, now);
        MC_FAULT_POINT("reply.after");
      };
      put_in(finish, true);
      housekeep(false);
    }
  }

  // On the committer's thread, between commits. False: some is left over, for the next time.
  bool housekeep(bool idle) {
    const Instant now = clock_.now();
    if (!idle && now - last_housekeep_ < kHousekeepEvery) return true;
    const std::lock_guard lock(store_mutex_);
    const bool is_done = !conductor::housekeep(store_, blobs_, options_, now);
    last_housekeep_ = is_done ? now : Instant{};
    if (idle && is_done && options_.housekeeps) store_.idle();
    return is_done;
  }

  void update_health() {
    Health health = core_.health();
    const std::lock_guard lock(health_mutex_);
    health_ = std::move(health);
  }

  db::Store& store_;
  blob::BlobStore& blobs_;
  Clock& clock_;
  const Options options_;
  Core core_;                // the loop's
  bool committing_ = false;  // the loop's
  Instant last_housekeep_;   // the committer's
  std::mutex stop_mutex_;    // one stop() at a time
  std::mutex inbox_mutex_;   // guards inbox_, stopping_
  std::condition_variable inbox_filled_;
  std::vector<Request> inbox_;
  bool stopping_ = false;
  std::mutex store_mutex_;   // one writer at a time
  std::mutex commit_mutex_;  // guards what follows up to commits_over_
  std::condition_variable commit_given_;
  std::optional<Commit> commit_;
  std::uint64_t written_ = 0;  // batches
  std::uint64_t tidied_ = 0;   // of those, when the store was tidied
  bool commits_over_ = false;
  mutable std::mutex health_mutex_;  // guards health_
  Health health_;
  std::atomic<std::uint64_t> tickets_ = 1;
  std::thread committer_;
  std::thread loop_;
};

Service::Service(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Service::~Service() = default;

Result<std::unique_ptr<Service>> Service::start(db::Store& store, blob::BlobStore& blobs,
                                                Clock& clock, Options options) {
  auto loop = std::make_unique<Loop>(store, blobs, clock, std::move(options));
  if (const Status started = loop->start(); !started) return started.error();
  return std::unique_ptr<Service>(new Service(std::move(loop)));
}

void Service::start_run(StartRun request, Done<RunView> done) {
  loop_->ask(std::move(done),
             [request = std::move(request)](Core& core, Instant now, auto answer) mutable {
               core.start_run(std::move(request), now, std::move(answer));
             });
}
void Service::cancel_run(auth::Principal by, Uuid run, std::string message, Done<RunView> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.cancel_run(by, run, message, now, answer);
  });
}
void Service::rerun(Rerun request, Done<RunView> done) {
  loop_->ask(std::move(done),
             [request = std::move(request)](Core& core, Instant now, auto answer) mutable {
               core.rerun(std::move(request), now, std::move(answer));
             });
}
void Service::delete_run(auth::Principal by, Uuid run, Done<bool> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.delete_run(by, run, now, answer);
  });
}
void Service::signal(auth::Principal by, Uuid run, std::string event, Value data,
                     Done<RunView> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.signal(by, run, event, data, now, answer);
  });
}
void Service::decide(Decision decision, Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.decide(decision, now, answer);
  });
}

void Service::run(auth::Principal by, Uuid id, Done<RunView> done) {
  loop_->ask(std::move(done),
             [=](Core& core, Instant, const auto& answer) { core.run(by, id, answer); });
}
void Service::wait_run(auth::Principal by, Uuid id, Instant until, Done<RunView> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant, const auto& answer) {
    core.wait_run(by, id, until, answer);
  });
}
void Service::jobs(auth::Principal by, Uuid id, Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.read(by, id, [now](const engine::RunState& run) { return jobs_json(run, now); }, answer);
  });
}
void Service::job(auth::Principal by, Uuid id, std::string key, Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.read(
        by, id,
        [key, now](const engine::RunState& run) -> Result<std::string> {
          const engine::JobState* job = engine::find_job(run, key);
          if (job == nullptr) return Error{Code::job_not_found, "the run has no job " + key, {}};
          return job_json(run, *job, now);
        },
        answer);
  });
}
void Service::graph(auth::Principal by, Uuid id, Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant, const auto& answer) {
    core.read(by, id, [](const engine::RunState& run) { return graph_json(run); }, answer);
  });
}
void Service::artifacts(auth::Principal by, Uuid id, Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant, const auto& answer) {
    const auto list = [keep = core.options().keep_artifacts](const engine::RunState& run) {
      return artifacts_json(run, keep);
    };
    core.read(by, id, list, answer);
  });
}
void Service::approvals(auth::Principal by, std::string status, Done<std::string> done) {
  loop_->ask(std::move(done),
             [=](Core& core, Instant, const auto& answer) { core.approvals(by, status, answer); });
}
void Service::run_approvals(auth::Principal by, Uuid id, std::string status,
                            Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant, const auto& answer) {
    core.read(
        by, id, [status](const engine::RunState& run) { return approvals_json(run, status); },
        answer);
  });
}
void Service::why(auth::Principal by, Uuid id, std::string job, Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.why(by, id, job, now, answer);
  });
}
void Service::log_target(auth::Principal by, Uuid id, std::string key, int attempt,
                         Done<LogTarget> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant, const auto& answer) {
    core.log_target(by, id, key, attempt, answer);
  });
}
void Service::events(auth::Principal by, Uuid run, std::int64_t after, int limit,
                     Done<std::vector<FeedEvent>> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant, const auto& answer) {
    core.events(by, run, after, limit, answer);
  });
}
void Service::feed(auth::Principal by, std::vector<db::FeedGroup> groups,
                   Done<std::vector<FeedEvent>> done) {
  // Shared: what is asked is copied.
  const auto read = std::make_shared<const std::vector<db::FeedGroup>>(std::move(groups));
  loop_->ask(std::move(done),
             [=](Core& core, Instant, const auto& answer) { core.feed(by, *read, answer); });
}
std::uint64_t Service::subscribe(auth::Principal by, Uuid run,
                                 std::function<void(const FeedEvent&)> listener) {
  const std::uint64_t ticket = loop_->next_ticket();
  loop_->tell([=](Core& core) { core.subscribe(ticket, by, run, listener); });
  return ticket;
}
void Service::unsubscribe(std::uint64_t ticket) {
  loop_->tell([=](Core& core) { core.unsubscribe(ticket); });
}

void Service::put_workflow(auth::Principal by, std::string name, std::string text,
                           Done<WorkflowVersion> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.put_workflow(by, name, text, now, answer);
  });
}
void Service::delete_workflow(auth::Principal by, std::string name, Done<bool> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.delete_workflow(by, name, now, answer);
  });
}

void Service::schedules(auth::Principal by, Done<std::string> done) {
  loop_->ask(std::move(done),
             [=](Core& core, Instant now, const auto& answer) { core.schedules(by, now, answer); });
}
void Service::schedule_action(auth::Principal by, std::string id, std::string action,
                              Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.schedule_action(by, id, action, now, answer);
  });
}
void Service::create_schedule(auth::Principal by, std::string workflow, Value spec,
                              Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.create_schedule(by, workflow, spec, now, answer);
  });
}
void Service::backfill(auth::Principal by, std::string id, Instant from, Instant to, bool dry_run,
                       Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.backfill(by, id, from, to, dry_run, now, answer);
  });
}

void Service::register_worker(auth::Principal by, wire::RegisterRequest request,
                              Done<wire::RegisterReply> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.register_worker(by, request, now, answer);
  });
}
void Service::poll(wire::PollRequest request, Gone gone, Done<std::vector<Task>> done,
                   std::shared_ptr<PollAside> aside) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.poll(request, now, answer, gone, aside);
  });
}
void Service::heartbeat(wire::HeartbeatRequest request, Done<wire::HeartbeatReply> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.heartbeat(request, now, answer);
  });
}
void Service::complete(wire::CompleteRequest request, Done<wire::CompleteReply> done) {
  loop_->ask(std::move(done),
             [request = std::move(request)](Core& core, Instant now, auto answer) mutable {
               core.complete(request, now, std::move(answer));
             });
}
void Service::check_hold(std::string task_id, std::int64_t fence, Done<LogTarget> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant, const auto& answer) {
    core.check_hold(task_id, fence, answer);
  });
}
void Service::workers(auth::Principal, Done<std::string> done) {
  loop_->ask(std::move(done),
             [=](Core& core, Instant now, const auto& answer) { core.workers(now, answer); });
}
void Service::drain_worker(auth::Principal, std::string worker_id, bool drain,
                           Done<std::string> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant now, const auto& answer) {
    core.drain_worker(worker_id, drain, now, answer);
  });
}

void Service::put_records(std::vector<db::RecordPut> puts, std::optional<db::Receipt> receipt,
                          Done<bool> done) {
  loop_->ask(std::move(done), [=](Core& core, Instant, const auto& answer) {
    core.put_records(puts, receipt, answer);
  });
}
db::Store& Service::store() { return loop_->store(); }
blob::BlobStore& Service::blobs() { return loop_->blobs(); }
void Service::set_secret_source(
    std::function<std::optional<std::string>(std::string_view, std::string_view)> source) {
  loop_->tell([source = std::move(source)](Core& core) mutable {
    core.set_secret_source(std::move(source));
  });
}
Service::Health Service::health() const { return loop_->health(); }
void Service::drain() {
  loop_->tell([](Core& core) { core.drain(); });
}
void Service::stop() { loop_->stop(); }
}  // namespace mc::conductor
