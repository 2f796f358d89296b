// What a worker holds: free slots, tasks that wait for a slot's thread, running tasks, results on
// their way. Only bookkeeping: no thread, no call.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "model/task.h"
#include "wire/task_codec.h"
#include "worker/task_control.h"

namespace mc::worker {

inline constexpr std::size_t kResultsPerCall = 64;

// Threads: any.
class Desk {
 public:
  explicit Desk(int slots) : free_(slots) {}

  // A task at work. Shared by the desk (heartbeats, cancel) and the slot that runs it; ends with
  // the later of the two.
  struct Held {
    Task task;
    TaskControl control;
  };
  using Ref = std::shared_ptr<Held>;

  // Who asks for tasks reserves slots for them first. Once a task has named what it takes, one
  // reservation at a time: a server that gives tasks must know of all others, and only the worker
  // knows what several servers have given.
  //
  // Waits for free slots and reserves all of them; 0 when closed or draining.
  int reserve_all();
  // Reserves what is free now; 0 also when that must wait.
  int reserve_some();
  // Ends a reservation: what came is queued, the rest of the slots is free again. A task that is
  // held already is not taken twice.
  void take_in(int reserved, std::vector<Task> tasks);

  // Waits for a task; null when closed.
  Ref next();
  // A task that waits now, or null.
  Ref try_next();
  // The slot is free again, the result waits to be sent (nullopt: there is none to send).
  void finish(const Ref& held, std::optional<TaskResult> result);

  // Calls `action` unless a task is at work; none begins before it returns.
  void if_quiet(const std::function<void()>& action);

  // Waits for results, at most kResultsPerCall; empty when closed and nothing is left.
  std::vector<TaskResult> results();
  // Those there are now, at most kResultsPerCall.
  std::vector<TaskResult> try_results();
  // Settled: the server has heard of it, one way or the other.
  void settled(const std::vector<std::string>& task_ids);
  // Puts results back to be sent again.
  void put_back(std::vector<TaskResult> results);

  // Running, waiting or with a result on its way.
  std::vector<wire::TaskHold> holds() const;
  // Those of them that take something, without what `results` ends.
  std::vector<wire::TaskUse> uses(const std::vector<TaskResult>& results = {}) const;
  // Waits until there is one; false when closed.
  bool wait_for_hold();
  void cancel(const std::string& task_id);
  void lose(const std::string& task_id);

  void drain();  // no more reservations
  bool wait_idle(std::chrono::milliseconds patience);
  // Loses all that is held; what comes from now on is not taken.
  void close();
  bool closed() const;
  int running() const;

 private:
  bool may_reserve() const { return free_ > 0 && (asking_ == 0 || !weighs_); }
  int reserve();
  Ref take_task();
  void lose_task(const std::string& task_id);
  std::vector<TaskResult> take_results();
  bool is_idle() const {
    return queue_.empty() && running_ == 0 && outbox_.empty() && sending_ == 0;
  }

  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  int free_;
  int asking_ = 0;       // reservations
  bool weighs_ = false;  // a task has named what it takes
  int running_ = 0;
  std::size_t sending_ = 0;  // results given out by results() and not settled or put back
  bool draining_ = false, closed_ = false;
  std::deque<Ref> queue_;
  std::map<std::string, Ref> held_;  // by task id
  std::deque<TaskResult> outbox_;
};

}  // namespace mc::worker
