#include "worker/session.h"

#include <algorithm>

namespace mc::worker {
namespace {
constexpr Duration kHeartbeatMin{20};
constexpr int kServerError = 500;
// Beyond a poll's own time: as long as a cluster may hold its worker for one that waits.
constexpr Millis kPollKnown{10'000};
}  // namespace

bool is_passing(const Error& error) {
  return error.code == Code::unreachable || error.code == Code::worker_not_found ||
         error.code == Code::rate_limited || error.code == Code::request_timeout ||
         error.code == Code::unauthenticated || error.code == Code::token_expired ||
         http_status(error.code) >= kServerError;
}

Duration Backoff::next() {
  next_ = std::clamp(next_ * 2, first_, max_);
  // Between half and all of it.
  const double share = 0.5 + rng_.unit() / 2;
  return Duration(static_cast<std::int64_t>(static_cast<double>(next_.count()) * share));
}

Result<std::string> Session::worker_id(client::WorkerApi& api) {
  const std::scoped_lock lock(mutex_);
  if (!worker_id_.empty()) return worker_id_;
  const bool outlived = options_.executor && options_.executor->outlives_worker();
  const auto reply = api.register_worker({options_.name, options_.labels, options_.slots,
                                          options_.version, outlived ? "" : options_.run.instance,
                                          options_.run.life, options_.resources});
  if (!reply.ok()) {
    note_refusal(reply.error());
    if (!std::exchange(told_unreachable_, true))
      report("cannot register: " + reply.error().message);
    return reply.error();
  }
  worker_id_ = reply->worker_id;
  heartbeat_ = std::max(kHeartbeatMin, Duration(reply->heartbeat_ms));
  lease_ = Millis(reply->lease_ms);
  told_unreachable_ = false;
  was_registered_ = true;
  taken_since_.reset();
  if (options_.executor) options_.executor->registered(*reply);
  changed_.notify_all();
  report("registered as " + options_.name + " (" + worker_id_ + "), " +
         std::to_string(options_.slots) + " slots");
  return worker_id_;
}

// A worker that was taken before ends for its name alone: a token may be changed under it, and what
// else is refused may come from a proxy.
void Session::note_refusal(const Error& error) {
  const bool is_credentials =
      error.code == Code::unauthenticated || error.code == Code::token_expired;
  const bool at_first = is_credentials || !is_passing(error);
  const bool for_good = was_registered_ ? error.code == Code::worker_name_taken : at_first;
  if (may_be_former(error)) return;
  if (!for_good || std::exchange(told_refused_, true)) return;
  if (options_.refused) options_.refused(error);
}

// A poll of our earlier life, that died, may seem to wait until its time is over; so it may to a
// shard that hears of this life only now.
bool Session::may_be_former(const Error& error) {
  if (error.code != Code::worker_name_taken) return false;
  if (!options_.executor || !options_.executor->outlives_worker()) return false;
  const auto now = std::chrono::steady_clock::now();
  if (!taken_since_) taken_since_ = now;
  return now - *taken_since_ < options_.poll_wait + kPollKnown;
}

void Session::failed(const Error& error, const std::string& worker_id) {
  const std::scoped_lock lock(mutex_);
  if (closing_.stop_requested()) return;
  if (error.code == Code::worker_not_found && worker_id_ == worker_id) {
    worker_id_.clear();
    return;
  }
  if (!std::exchange(told_unreachable_, true))
    report("a call failed, trying again: " + error.message);
}

Result<std::int64_t> Session::send_log(const Task& task, std::int64_t offset,
                                       const std::vector<wire::LogChunk>& chunks) {
  std::unique_ptr<client::WorkerApi> api;
  std::string worker;
  {
    const std::scoped_lock lock(mutex_);
    worker = worker_id_;
    if (!log_apis_.empty()) {
      api = std::move(log_apis_.back());
      log_apis_.pop_back();
    }
  }
  if (!api) api = options_.connect();
  auto end = api->logs({worker, task.task_id, task.fence, offset, chunks});
  const std::scoped_lock lock(mutex_);
  log_apis_.push_back(std::move(api));
  return end;
}

void Session::report(const std::string& line) const {
  if (options_.report) options_.report(line);
}

bool Session::pause(Backoff& backoff) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, backoff.next(), [&] { return closing_.stop_requested(); });
  return !closing_.stop_requested();
}

Millis Session::lease() {
  const std::scoped_lock lock(mutex_);
  return lease_;
}

bool Session::wait_for_beat() {
  std::unique_lock lock(mutex_);
  const auto began = std::chrono::steady_clock::now();
  // The server may name another rhythm while this waits.
  while (!closing_.stop_requested() && std::chrono::steady_clock::now() < began + heartbeat_) {
    changed_.wait_until(lock, began + heartbeat_);
  }
  return !closing_.stop_requested();
}

void Session::close() {
  closing_.request_stop();
  const std::scoped_lock lock(mutex_);
  changed_.notify_all();
}

}  // namespace mc::worker
