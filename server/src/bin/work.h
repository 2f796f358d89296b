// The worker of this process, embedded (`up`, `exec`) or on its own (`worker`).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/transport.h"
#include "worker/worker.h"

namespace mc::bin {

struct WorkSetup {
  std::string name;
  std::vector<std::string> labels;
  int slots = 0;        // 0: one a processor
  Resources resources;  // for all jobs together; 0: no limit
  std::string data;
  std::vector<std::string> pass_env;
  std::string checkout_folder;  // copied by `checkout`; empty: cloned
  bool no_cache = false;
  bool contained = false;                      // this process is in the job's container
  std::unique_ptr<worker::Executor> executor;  // null: processes of this machine
  Millis poll_wait{20'000};
  std::function<void(const Error&)> refused;  // see worker::WorkerOptions
  // Called once a thread.
  std::function<std::unique_ptr<client::WorkerApi>()> connect_api;
};

// Errors: data_folder.
Result<std::unique_ptr<worker::Worker>> start_worker(WorkSetup setup);

std::string host_name();

// "NAME=value" of this process.
std::vector<std::string> process_environment();

}  // namespace mc::bin
