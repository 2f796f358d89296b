// Workflows that do nothing, and hands that do it: what most measurements drive a server with.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/http_load.h"
#include "bench/server_process.h"

namespace mc::bench {

// YAML of workflows whose no-op jobs only this program's own workers take.
std::string one_job();
std::string ten_jobs();                 // 1 → 8 → 1
std::string chain_of_jobs(int length);  // each needs the one before
std::string fan_of_jobs(int width);     // 1 → width → 1

// Errors of all: unavailable, with what the server answered.
Status store_workflow(const ServerProcess& server, const std::string& name, const std::string& text,
                      const std::vector<std::string>& tokens = {});  // one of each project
// `count` accepted runs of a stored workflow, from `connections` at once: through all doors, or
// one. In turn as each of `tokens`; none: as the server's.
Result<Load> start_runs(const ServerProcess& server, const std::string& name, int count,
                        int connections, std::optional<int> door = {},
                        const std::vector<std::string>& tokens = {});
// Tokens of so many projects, no two of them in one shard of a fresh database, which has as many.
Result<std::vector<std::string>> make_projects(const ServerProcess& server, int count);
// The run's id.
Result<std::string> start_run(client::Transport& transport, const std::string& name);

// A worker of the protocol, as `maestro worker` is one, that finds every job done at once.
class Hand {
 public:
  // Takes at most `slots` tasks at a time.
  static Result<Hand> hire(const ServerProcess& server, int slots, int door = 0);
  // Waits up to wait_ms for tasks.
  Status poll(int wait_ms);
  // Reports all that it holds as done and takes what comes with the answer.
  Status complete();
  const std::vector<Task>& tasks() const { return tasks_; }
  client::WorkerApi& api() { return *api_; }
  const std::string& id() const { return id_; }

 private:
  Hand(std::unique_ptr<client::WorkerApi> api, std::string id, int slots)
      : api_(std::move(api)), id_(std::move(id)), slots_(slots) {}
  std::unique_ptr<client::WorkerApi> api_;
  std::string id_;
  int slots_;
  std::vector<Task> tasks_;
};

// Works off `jobs` jobs with two hands of 128 slots each, dealt out to the doors. `first_ms`, when
// given: until the first completion was acknowledged.
Status work_off(const ServerProcess& server, int jobs, double* first_ms = nullptr);
// Starts `runs` runs of a stored workflow of `jobs_each` jobs, from `connections` at once, while
// two hands work them off; seconds from the first request to the last durable completion.
Result<double> start_and_work_off(const ServerProcess& server, const std::string& name, int runs,
                                  int jobs_each, int connections = 16,
                                  const std::vector<std::string>& tokens = {});

}  // namespace mc::bench
