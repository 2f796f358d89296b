// What carries a task out, wherever that is: the port between a worker's slots and the processes of
// this machine (processes.cc) or the Jobs of a cluster (kubernetes/executor.h).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "client/worker_api.h"
#include "model/task.h"
#include "wire/task_codec.h"
#include "worker/log_pump.h"
#include "worker/settings.h"
#include "worker/task_control.h"

namespace mc::worker {

// Threads: run() from any number of slots at a time, the rest from any thread.
class Executor {
 public:
  virtual ~Executor() = default;

  // Whether what runs goes on when this worker ends. Its next life must not lose the former's tasks
  // then: it registers with a life and without an instance.
  virtual bool outlives_worker() const { return false; }
  // The server knows this worker as `standing.worker_id` from now on. Any thread.
  virtual void registered(const wire::RegisterReply& /*standing*/) {}
  // Tasks that an earlier life of this worker began and that still go on: they are held again, and
  // run() is called for each. Called once, after registered() and before any run().
  virtual std::vector<Task> take_over() { return {}; }
  // Carries the task out on the calling thread. nullopt: there is nothing to report, since the task
  // is not ours any more, or it has reported by itself.
  virtual std::optional<TaskResult> run(const Task& task, client::WorkerApi& api,
                                        TaskControl& control, const SendLog& send_log) = 0;
  // No task is at work, and none begins before this returns.
  virtual void rest() {}
  // This worker takes no more tasks and wants to end: what goes on without it is let go, its run()
  // returns nullopt soon.
  virtual void let_go() {}
};

// Runs tasks as processes of this machine.
std::unique_ptr<Executor> run_processes(const RunSettings& settings);

}  // namespace mc::worker
