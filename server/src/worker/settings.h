// How a worker runs jobs: durations and places that tests shorten.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/transport.h"
#include "worker/log_pump.h"

namespace mc::worker {

using Duration = std::chrono::milliseconds;

// Cancel: SIGINT, `ask` later SIGTERM to the group, `terminate` later SIGKILL.
struct Ladder {
  Duration ask{10'000};
  Duration terminate{10'000};
};

struct RunSettings {
  std::string data;  // folder; jobs run in data/work
  // That folder, and one start of a worker in it, told to the server; Worker::start gives both.
  std::string instance, life;
  // This program's environment ("NAME=value"), of which jobs see a fixed few and what `pass_env`
  // names.
  std::vector<std::string> environment;
  std::vector<std::string> pass_env;
  Ladder ladder;
  Duration finally_timeout{300'000};    // of all `finally` steps together
  Duration job_timeout{6 * 3'600'000};  // when a job has none of its own
  LogOptions logs;
  // `checkout` copies this working tree instead of cloning (maestro exec); empty: clone.
  std::string local_checkout_dir;
  // This process is in the job's container already: `container` and `sandbox` ask for nothing more.
  bool contained = false;
  bool no_cache = false;  // jobs run even when their cache key is known; results are still saved
  bool block_private_addresses = false;  // for the http and notify actions
  // Reaches addresses outside, for the http and notify actions.
  std::function<std::unique_ptr<client::Transport>()> web;
};

}  // namespace mc::worker
