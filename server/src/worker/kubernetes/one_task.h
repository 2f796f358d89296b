// The server, as the worker in a pod sees it: there is one task, which it has been granted already.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "client/worker_api.h"
#include "worker/kubernetes/handover.h"

namespace mc::worker {

// How the one task stands. Threads: any.
class OneTask {
 public:
  enum class End : std::uint8_t {
    none,
    settled,  // the server has the result, or does not want it
    lost,     // the attempt is not ours any more
  };

  explicit OneTask(Handover handover) : handover_(std::move(handover)) {}

  // Waits for the end; none when `at_most` was too short.
  End wait(Millis at_most);
  const Handover& handover() const { return handover_; }

  // The decorated server: registering gives the standing of the worker outside (a real one only
  // when that is not known any more), polling gives the task once and then nothing, everything else
  // passes through. This must outlive what is returned.
  std::unique_ptr<client::WorkerApi> connect(std::unique_ptr<client::WorkerApi> server);

 private:
  class Api;
  void end(End how);
  // How much of the attempt's log was there before ours. Errors: those of the call.
  Result<std::int64_t> log_base(client::WorkerApi& server, const wire::LogsRequest& request);

  const Handover handover_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool registered_ = false, granted_ = false;
  End end_ = End::none;
  std::optional<std::int64_t> log_base_;
};

}  // namespace mc::worker
