// A worker's standing with its server: its id, the rhythm of heartbeats, waiting after failures.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/rng.h"
#include "client/worker_api.h"
#include "worker/worker.h"

namespace mc::worker {

// Worth another try: the server is away, busy, or does not know us (yet).
bool is_passing(const Error& error);

// Doubling waits with jitter, so that a fleet does not return at once.
class Backoff {
 public:
  Backoff(Duration first, Duration max, std::uint64_t seed)
      : first_(first), max_(max), rng_(seed) {}
  void reset() { next_ = Duration(0); }
  Duration next();

 private:
  Duration first_, max_, next_{0};
  Rng rng_;
};

// Threads: any.
class Session {
 public:
  explicit Session(const WorkerOptions& options) : options_(options) {}

  // Registers when that has not been done or is not valid any more.
  Result<std::string> worker_id(client::WorkerApi& api);
  // After a failed call under `worker_id`: notes that it is not known any more, and reports.
  void failed(const Error& error, const std::string& worker_id);
  Result<std::int64_t> send_log(const Task& task, std::int64_t offset,
                                const std::vector<wire::LogChunk>& chunks);
  void report(const std::string& line) const;

  Backoff backoff() const { return {options_.backoff_first, options_.backoff_max, random_seed()}; }
  // Waits; false when closed.
  bool pause(Backoff& backoff);
  bool wait_for_beat();
  Millis lease();  // of what is held; 0: not registered yet
  void close();
  std::stop_token closing() const { return closing_.get_token(); }

 private:
  void note_refusal(const Error& error);
  bool may_be_former(const Error& error);

  const WorkerOptions& options_;
  std::stop_source closing_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::string worker_id_;
  Duration heartbeat_{2'000};
  Millis lease_{0};
  bool told_unreachable_ = false;
  bool was_registered_ = false, told_refused_ = false;
  std::optional<std::chrono::steady_clock::time_point> taken_since_;
  // Connections for logs, lent to whichever task sends.
  std::vector<std::unique_ptr<client::WorkerApi>> log_apis_;
};

}  // namespace mc::worker
