#include "worker/worker.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/fault.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "worker/desk.h"
#include "worker/guard.h"
#include "worker/patient_api.h"
#include "worker/session.h"
#include "worker/sweep.h"
#include "worker/takes.h"
#include "worker/task_run.h"
#include "worker/workspace.h"

namespace mc::worker {
namespace {
constexpr auto kSweepPatience = std::chrono::seconds(10);
// A poll that names holds is out of date once one of them ends: it is asked anew after this.
constexpr Millis kPollWithHolds{5'000};

std::vector<std::string> ids_of(const std::vector<TaskResult>& results) {
  std::vector<std::string> ids;
  for (const TaskResult& result : results) ids.push_back(result.task_id);
  return ids;
}

// What is left of a result that the server will not take: that there was one.
TaskResult reduced(const TaskResult& result, const Error& why) {
  TaskResult out{.task_id = result.task_id, .fence = result.fence};
  out.outcome = result.outcome == Outcome::cancelled ? Outcome::cancelled : Outcome::failed;
  out.failure_kind = FailureKind::infra;
  out.message = "the server did not take the result: " + why.message;
  return out;
}
// The id that this folder has had since a worker first used it.
Result<std::string> instance_of(const std::string& data) {
  const std::string path = data + "/worker.id";
  constexpr std::size_t kLengthMax = 64;
  if (Result<std::string> known = read_file(path, kLengthMax); known.ok() && !known->empty())
    return known;
  std::string fresh = std::to_string(random_seed());
  if (Status kept = write_file(path, fresh); !kept.ok()) return kept.error();
  return fresh;
}
}  // namespace

class Worker::Loops {
 public:
  Loops(WorkerOptions options, Fd lock, Fd guard)
      : options_(std::move(options)),
        lock_(std::move(lock)),
        guard_(std::move(guard)),
        desk_(options_.slots),
        session_(options_) {
    for (int i = 0; i < options_.slots; ++i) threads_.emplace_back([this] { run_slot(); });
    threads_.emplace_back([this] { poll(); });
    threads_.emplace_back([this] { deliver(); });
    threads_.emplace_back([this] { beat(); });
  }

  Desk& desk() { return desk_; }

  void drain() {
    desk_.drain();
    options_.executor->let_go();
  }

  void stop(Millis patience) {
    if (stopped_.exchange(true)) return;
    drain();
    if (patience.count() > 0) desk_.wait_idle(patience);
    desk_.close();
    session_.close();
    threads_.clear();
    kill_marked(worker_marker(options_.run), kSweepPatience);
  }

 private:
  // Once the server has taken us: else what is there may be another worker's of our name.
  std::vector<Task> take_over(int reserved) {
    std::vector<Task> left = options_.executor->take_over();
    if (std::cmp_greater(left.size(), reserved)) left.resize(static_cast<std::size_t>(reserved));
    if (!left.empty())
      session_.report("holds again what an earlier life began: " + std::to_string(left.size()));
    return left;
  }

  void take_in(int reserved, std::vector<Task> tasks) {
    if (!options_.resources.empty()) {
      for (Task& task : tasks) task.takes = takes_of(task);
    }
    desk_.take_in(reserved, std::move(tasks));
  }

  // What a call that asks for tasks says of those at work.
  std::vector<wire::TaskUse> uses(const std::vector<TaskResult>& results = {}) const {
    return options_.resources.empty() ? std::vector<wire::TaskUse>() : desk_.uses(results);
  }

  void run_slot() {
    const auto api = options_.connect();
    while (const Desk::Ref held = desk_.next()) {
      Backoff backoff = session_.backoff();
      PatientApi patient(*api, [&] {
        return !held->control.lost() && !held->control.cancelled() && session_.pause(backoff);
      });
      std::optional<TaskResult> result = options_.executor->run(
          held->task, patient, held->control,
          [&](std::int64_t offset, const std::vector<wire::LogChunk>& chunks) {
            return session_.send_log(held->task, offset, chunks);
          });
      MC_FAULT_POINT("worker.ran");
      desk_.finish(held, std::move(result));
      desk_.if_quiet([this] { options_.executor->rest(); });
    }
  }

  void poll() {
    const auto api = options_.connect();
    Backoff backoff = session_.backoff();
    bool looked_back = false;
    while (const int reserved = desk_.reserve_all()) {
      const auto worker_id = session_.worker_id(*api);
      if (worker_id.ok() && !std::exchange(looked_back, true)) {
        desk_.take_in(reserved, take_over(reserved));
        continue;
      }
      auto holds = uses();
      const Millis wait =
          holds.empty() ? options_.poll_wait : std::min(options_.poll_wait, kPollWithHolds);
      auto tasks = worker_id.ok()
                       ? api->poll({*worker_id, reserved, wait.count(), std::move(holds)},
                                   session_.closing())
                       : Result<std::vector<Task>>(worker_id.error());
      if (tasks.ok()) {
        backoff.reset();
        if (!tasks->empty()) MC_FAULT_POINT("worker.granted");
        take_in(reserved, std::move(*tasks));
        continue;
      }
      desk_.take_in(reserved, {});
      if (worker_id.ok()) session_.failed(tasks.error(), *worker_id);
      if (!session_.pause(backoff)) return;
    }
  }

  void deliver() {
    const auto api = options_.connect();
    Backoff backoff = session_.backoff();
    for (;;) {
      std::vector<TaskResult> results = desk_.results();
      if (results.empty() || desk_.closed()) return;
      MC_FAULT_POINT("worker.before_deliver");
      const int reserved = desk_.reserve_some();
      const auto worker_id = session_.worker_id(*api);
      auto holds = reserved > 0 ? uses(results) : std::vector<wire::TaskUse>();
      auto reply = worker_id.ok() ? api->complete({*worker_id, results, reserved, std::move(holds)})
                                  : Result<wire::CompleteReply>(worker_id.error());
      if (reply.ok()) {
        backoff.reset();
        MC_FAULT_POINT("worker.after_deliver");
        // Rejected is settled too: the attempt is over for us, whatever the reason.
        for (const wire::Rejected& no : reply->rejected) {
          session_.report("a result for " + no.task_id + " was refused: " + no.code);
        }
        take_in(reserved, std::move(reply->tasks));
        desk_.settled(ids_of(results));
        continue;
      }
      desk_.take_in(reserved, {});
      if (worker_id.ok()) session_.failed(reply.error(), *worker_id);
      deal_with(std::move(results), reply.error(), *api);
      if (!session_.pause(backoff)) return;
    }
  }

  // A refusal for good must not hold up the results behind it: each is sent alone, and one that is
  // still refused is reduced to the fact of its end.
  void deal_with(std::vector<TaskResult> results, const Error& error, client::WorkerApi& api) {
    if (is_passing(error)) return desk_.put_back(std::move(results));
    std::vector<TaskResult> again;
    for (TaskResult& result : results) {
      const auto worker_id = session_.worker_id(api);
      if (!worker_id.ok()) {
        again.push_back(std::move(result));
        continue;
      }
      auto reply = api.complete({*worker_id, {result}, 0});
      if (!reply.ok() && !is_passing(reply.error())) {
        session_.report("the result of " + result.task_id +
                        " was refused: " + reply.error().message);
        reply = api.complete({*worker_id, {reduced(result, reply.error())}, 0});
      }
      if (!reply.ok() && is_passing(reply.error())) {
        again.push_back(std::move(result));
      } else {
        desk_.settled({result.task_id});
      }
    }
    desk_.put_back(std::move(again));
  }

  void beat() {
    const auto api = options_.connect();
    while (desk_.wait_for_hold() && session_.wait_for_beat()) {
      const auto holds = desk_.holds();
      if (holds.empty()) continue;
      const auto worker_id = session_.worker_id(*api);
      if (!worker_id.ok()) continue;
      const auto reply = api->heartbeat({*worker_id, holds}, session_.lease());
      if (!reply.ok()) {
        session_.failed(reply.error(), *worker_id);
        continue;
      }
      for (const std::string& id : reply->cancel) desk_.cancel(id);
      for (const std::string& id : reply->lost) desk_.lose(id);
    }
  }

  WorkerOptions options_;
  Fd lock_;   // held while this worker lives
  Fd guard_;  // its closing tells the guard that this worker is gone
  Desk desk_;
  Session session_;
  std::atomic<bool> stopped_{false};
  std::vector<std::jthread> threads_;
};

Worker::Worker(std::unique_ptr<Loops> loops) : loops_(std::move(loops)) {}

Worker::~Worker() { loops_->stop(Millis(0)); }

Result<std::unique_ptr<Worker>> Worker::start(WorkerOptions options) {
  options.slots = std::max(1, options.slots);
  const std::string& data = options.run.data;
  std::error_code failed;
  std::filesystem::create_directories(data + "/work", failed);
  const std::string path = data + "/worker.lock";
  Fd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!lock) return os_error(Code::data_folder, "cannot open " + path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{Code::data_folder,
                 "another worker uses " + data + "; give this one a folder of its own (--data)",
                 {}};
  }
  become_subreaper();
  kill_marked(home_marker(data), kSweepPatience);
  sweep_workspaces(data);
  options.run.life = std::to_string(random_seed());
  Result<std::string> instance = instance_of(data);
  if (!instance.ok()) return instance.error();
  options.run.instance = std::move(*instance);
  Fd guard;
  if (!options.guard_program.empty()) {
    Result<Fd> started = start_guard(options.guard_program, worker_marker(options.run));
    if (!started.ok()) return started.error();
    guard = std::move(*started);
  }
  if (!options.executor) options.executor = run_processes(options.run);
  auto loops = std::make_unique<Loops>(std::move(options), std::move(lock), std::move(guard));
  // tidy: allow banned: the constructor is private
  return std::unique_ptr<Worker>(new Worker(std::move(loops)));
}

void Worker::drain() { loops_->drain(); }
bool Worker::wait_idle(Millis patience) { return loops_->desk().wait_idle(patience); }
void Worker::stop(Millis patience) { loops_->stop(patience); }
int Worker::running() const { return loops_->desk().running(); }

}  // namespace mc::worker
