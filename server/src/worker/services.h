// A job's `services`: started before its steps, stopped after them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "worker/process.h"
#include "worker/task_run.h"

namespace mc::worker {

class Services {
 public:
  explicit Services(TaskRun& run) : run_(run) {}
  ~Services() { stop(); }
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  // Starts all, in order, each after the one before is ready. A service logs under "service:NAME".
  // Errors: unavailable (no container runtime), request_timeout (not ready in time), internal (it
  // ended), conflict (the job was cancelled meanwhile), others from starting.
  Status start();
  // SIGTERM, the ladder's patience, SIGKILL.
  void stop();

 private:
  Status start_one(const ServiceSpec& spec);
  Status wait_ready(const ServiceSpec& spec, const Environment& env, Process& process);
  struct Running {
    Process process;
    std::vector<std::string> remove;  // command that removes its container; empty: none
  };
  TaskRun& run_;
  std::vector<Running> running_;
};

}  // namespace mc::worker
