// One task in a cluster: from its Job to what is left to report. On a slot's thread.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "kube/api.h"
#include "worker/executor.h"
#include "worker/kubernetes/board.h"
#include "worker/kubernetes/executor.h"
#include "worker/session.h"

namespace mc::worker {

// What the attempts of one executor share.
struct Cluster {
  const KubernetesOptions& options;
  Board& board;
  std::atomic<bool> leaving{false};  // this process ends; Jobs go on
  std::mutex mutex;                  // guards what follows
  wire::RegisterReply standing;
};

class Attempt {
 public:
  Attempt(Cluster& cluster, const Task& task, TaskControl& control, const SendLog& send_log);

  // Makes the Job, hands the task over, and follows it to its end.
  std::optional<TaskResult> begin();
  // Follows the Job of an earlier life to its end.
  std::optional<TaskResult> resume();

 private:
  bool over() const { return cluster_.leaving || control_.lost(); }
  void pause();
  // Repeats a call while its failure is passing and nothing else ends the attempt.
  template <class Call>
  auto insist(const Call& call) -> decltype(call());

  Status hand_over(const kube::JobPlan& plan);
  Result<std::string> create_job(const kube::JobPlan& plan);
  Status create_secret(const kube::JobPlan& plan, const std::string& job_uid);
  Result<kube::Reply> job();
  bool remove();
  bool remove_when_due();
  std::optional<TaskResult> follow();
  bool ended(const kube::Verdict& verdict);
  bool may_hear_more(const kube::Verdict& verdict);
  std::optional<TaskResult> conclude(const kube::Verdict& verdict);
  std::optional<TaskResult> block(const kube::Verdict& verdict);
  void notice(const kube::Verdict& verdict);
  void say(const std::string& line);
  // The result, unless the server has the pod's own already. `last_words`: with the pod's log.
  std::optional<TaskResult> report(Outcome outcome, FailureKind kind, const std::string& message,
                                   bool last_words);

  Cluster& cluster_;
  const Task& task_;
  TaskControl& control_;
  const SendLog& send_log_;
  const std::string name_, path_;
  kube::Api api_;
  Backoff backoff_;
  bool removed_ = false;
  std::chrono::steady_clock::time_point remove_again_{};  // not to be tried before
  bool told_ = false;                                     // that the Job cannot be deleted
  std::string noticed_;
  std::optional<std::chrono::steady_clock::time_point> blocked_since_, lost_since_, unclear_since_;
};

}  // namespace mc::worker
