#include "worker/kubernetes/executor.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>

#include "kube/objects.h"
#include "kube/preflight.h"
#include "worker/kubernetes/attempt.h"
#include "worker/kubernetes/board.h"

namespace mc::worker {
namespace {
constexpr Millis kFirstList{60'000};

class Kubernetes final : public Executor {
 public:
  explicit Kubernetes(KubernetesOptions options)
      : options_(std::move(options)),
        board_(options_.access, options_.plan.namespace_name, selector_of(options_.plan),
               options_.report),
        cluster_{.options = options_, .board = board_} {}

  bool wait_complete() { return board_.wait_complete(kFirstList); }

  bool outlives_worker() const override { return true; }

  void registered(const wire::RegisterReply& standing) override {
    const std::scoped_lock lock(cluster_.mutex);
    cluster_.standing = standing;
  }

  // A Job that was never resumed was not handed over; one that ended well has reported.
  std::vector<Task> take_over() override {
    std::vector<Task> tasks, over;  // those over come last: there may be more than slots
    kube::Api api(options_.access);
    for (const Value& job : board_.jobs()) {
      const std::string name = kube::name_of(job);
      const kube::Verdict verdict = board_.look(name);
      if (verdict.stage == kube::Stage::suspended) {
        const auto reply = api.remove(kube::jobs_path(options_.plan.namespace_name) + "/" + name);
        options_.report(name + " was not handed over, and is " +
                        (reply.ok() && reply->good() ? "deleted" : "left, suspended: delete it"));
        continue;
      }
      if (verdict.cause == kube::Cause::finished || kube::is_being_deleted(job)) continue;
      auto& those = verdict.stage == kube::Stage::ended ? over : tasks;
      if (auto task = task_of(job)) those.push_back(std::move(*task));
    }
    std::ranges::move(over, std::back_inserter(tasks));
    for (const Task& task : tasks) taken_over_.insert(kube::job_name(task.task_id, task.fence));
    return tasks;
  }

  std::optional<TaskResult> run(const Task& task, client::WorkerApi&, TaskControl& control,
                                const SendLog& send_log) override {
    Attempt attempt(cluster_, task, control, send_log);
    const bool began = taken_over_.contains(kube::job_name(task.task_id, task.fence));
    return began ? attempt.resume() : attempt.begin();
  }

  void let_go() override {
    cluster_.leaving = true;
    board_.wake();
  }

 private:
  static std::optional<Task> task_of(const Value& job) {
    Task task{.task_id = kube::annotation(job, kube::kTaskNote),
              .takes = read_takes(kube::annotation(job, kube::kTakesNote))};
    const std::string fence = kube::annotation(job, kube::kFenceNote);
    const auto read = std::from_chars(fence.data(), fence.data() + fence.size(), task.fence);
    if (task.task_id.empty() || read.ec != std::errc{}) return std::nullopt;
    // Somebody's copy of a Job of ours is not ours.
    if (kube::job_name(task.task_id, task.fence) != kube::name_of(job)) return std::nullopt;
    return task;
  }

  const KubernetesOptions options_;
  Board board_;
  Cluster cluster_;
  std::set<std::string> taken_over_;  // names of Jobs; written before any run()
};
}  // namespace

Result<std::unique_ptr<Executor>> run_in_kubernetes(KubernetesOptions options) {
  {
    kube::Api api(options.access);
    const Status usable = kube::check_cluster(api, options.plan.namespace_name);
    if (!usable.ok()) return usable.error();
  }
  auto made = std::make_unique<Kubernetes>(std::move(options));
  if (!made->wait_complete()) {
    return Error{Code::unreachable,
                 "the Kubernetes API server gave no list of Jobs and pods within a minute",
                 {}};
  }
  return std::unique_ptr<Executor>(std::move(made));
}

}  // namespace mc::worker
