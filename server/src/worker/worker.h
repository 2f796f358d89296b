// A worker: registers, takes tasks, carries them out, tells what came of them.
//
// Threads of its own: one a slot (jobs run there), one that polls, one that sends results (and
// takes new tasks from the answers), one that sends heartbeats. Any call may fail for a while:
// results are kept and sent again until the server takes or refuses them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "client/worker_api.h"
#include "worker/executor.h"
#include "worker/settings.h"

namespace mc::worker {

struct WorkerOptions {
  std::string name;
  std::vector<std::string> labels;
  int slots = 1;
  Resources resources;  // for all jobs together; 0: no limit
  std::string version;
  // Called once a thread that speaks to the server. Required.
  std::function<std::unique_ptr<client::WorkerApi>()> connect;
  RunSettings run;
  // What carries tasks out; null: processes of this machine.
  std::unique_ptr<Executor> executor;
  Millis poll_wait{20'000};  // how long a poll waits at the server
  Duration backoff_first{200}, backoff_max{10'000};
  // Told what an operator wants to know: "registered …", "the server cannot be reached …". Any
  // thread.
  std::function<void(const std::string&)> report;
  // Told once when the server will not have this worker: its token, its role or its name. Any
  // thread.
  std::function<void(const Error&)> refused;
  // Runs run_guard (guard.h) for `PROGRAM __guard MARKER`: ends the jobs' processes when this
  // process is killed. Empty: they are found by the next worker of this folder only.
  std::string guard_program;
};

// Threads: any may call.
class Worker {
 public:
  // Takes the data folder for itself, ends what an earlier life left (processes, folders), starts
  // the threads. Does not wait for the server. Errors: data_folder (also when another worker uses
  // it).
  static Result<std::unique_ptr<Worker>> start(WorkerOptions options);
  // As stop(0).
  ~Worker();

  // Takes no more tasks from now on; what runs goes on, without this worker where it can.
  void drain();
  // Waits until nothing runs and every result is delivered; false when `patience` was too short.
  bool wait_idle(Millis patience);
  // Drains, waits for `patience`, kills what still runs (the server learns by the lease) and ends
  // the threads.
  void stop(Millis patience);
  int running() const;

 private:
  class Loops;
  explicit Worker(std::unique_ptr<Loops> loops);
  std::unique_ptr<Loops> loops_;
};

}  // namespace mc::worker
