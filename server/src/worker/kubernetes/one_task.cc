#include "worker/kubernetes/one_task.h"

#include <algorithm>

namespace mc::worker {

class OneTask::Api final : public client::WorkerApi {
 public:
  Api(OneTask& one, std::unique_ptr<client::WorkerApi> server)
      : one_(one), server_(std::move(server)) {}

  Result<wire::RegisterReply> register_worker(const wire::RegisterRequest& request) override {
    {
      const std::scoped_lock lock(one_.mutex_);
      if (!std::exchange(one_.registered_, true)) return one_.handover_.standing;
    }
    // Beside the worker outside and other pods of its name, not in their place.
    wire::RegisterRequest beside = request;
    beside.instance.clear();
    beside.life.clear();
    return server_->register_worker(beside);
  }
  Result<std::vector<Task>> poll(const wire::PollRequest& request, std::stop_token stop) override {
    std::unique_lock lock(one_.mutex_);
    if (!one_.granted_) {
      lock.unlock();
      return grant(request.worker_id);
    }
    const std::stop_callback wake(stop, [this] { one_.changed_.notify_all(); });
    one_.changed_.wait_for(lock, Millis(request.wait_ms), [&] { return stop.stop_requested(); });
    return std::vector<Task>();
  }
  Result<wire::HeartbeatReply> heartbeat(const wire::HeartbeatRequest& request,
                                         Millis lease) override {
    auto reply = server_->heartbeat(request, lease);
    if (reply.ok() && std::ranges::find(reply->lost, id()) != reply->lost.end())
      one_.end(End::lost);
    return reply;
  }
  Result<wire::CompleteReply> complete(const wire::CompleteRequest& request) override {
    wire::CompleteRequest own = request;
    own.max = 0;
    auto reply = server_->complete(own);
    const auto is_own = [this](const wire::Rejected& no) { return no.task_id == id(); };
    if (reply.ok() && (std::ranges::find(reply->accepted, id()) != reply->accepted.end() ||
                       std::ranges::any_of(reply->rejected, is_own)))
      one_.end(End::settled);
    return reply;
  }
  Result<std::int64_t> logs(const wire::LogsRequest& request) override {
    // The worker outside has written first: our log begins behind that.
    const auto base = one_.log_base(*server_, request);
    if (!base.ok()) return base;
    wire::LogsRequest behind = request;
    behind.offset += *base;
    const auto end = server_->logs(behind);
    return end.ok() ? Result<std::int64_t>(std::max<std::int64_t>(0, *end - *base)) : end;
  }
  Result<client::BlobState> find_blob(const client::Hold& hold,
                                      const std::string& digest) override {
    return server_->find_blob(hold, digest);
  }
  Result<std::int64_t> put_part(const client::Hold& hold, const std::string& digest,
                                const std::string& file, const client::FilePart& part) override {
    return server_->put_part(hold, digest, file, part);
  }
  Status put_blob(const client::Hold& hold, const std::string& digest,
                  const std::string& file) override {
    return server_->put_blob(hold, digest, file);
  }
  Status get_blob(const client::Hold& hold, const std::string& digest,
                  const std::string& file) override {
    return server_->get_blob(hold, digest, file);
  }
  Result<std::optional<client::CacheEntry>> cache_get(const client::Hold& hold,
                                                      const std::string& scope,
                                                      const std::string& key) override {
    return server_->cache_get(hold, scope, key);
  }
  Status cache_put(const client::Hold& hold, const std::string& scope, const std::string& key,
                   const client::CacheEntry& entry) override {
    return server_->cache_put(hold, scope, key, entry);
  }
  Result<std::vector<ArtifactRef>> find_artifacts(const client::Hold& hold, Uuid run,
                                                  const std::string& name) override {
    return server_->find_artifacts(hold, run, name);
  }

 private:
  const std::string& id() const { return one_.handover_.task.task_id; }
  // A pod may start long after the grant: nothing runs before the server has said that it holds.
  Result<std::vector<Task>> grant(const std::string& worker_id) {
    const Task& task = one_.handover_.task;
    const auto held = heartbeat({worker_id, {{task.task_id, task.fence}}},
                                Millis(one_.handover_.standing.lease_ms));
    if (!held.ok()) return held.error();
    const std::scoped_lock lock(one_.mutex_);
    if (one_.end_ == End::lost || std::exchange(one_.granted_, true)) return std::vector<Task>();
    return std::vector<Task>{task};
  }
  OneTask& one_;
  std::unique_ptr<client::WorkerApi> server_;
};

std::unique_ptr<client::WorkerApi> OneTask::connect(std::unique_ptr<client::WorkerApi> server) {
  return std::make_unique<Api>(*this, std::move(server));
}

// Asked once; and again by whoever asks for the end (no chunks), since a server that died may have
// less than it said.
Result<std::int64_t> OneTask::log_base(client::WorkerApi& server,
                                       const wire::LogsRequest& request) {
  {
    const std::scoped_lock lock(mutex_);
    if (log_base_ && !request.chunks.empty()) return *log_base_;
  }
  wire::LogsRequest question = request;
  question.offset = 0;
  question.chunks.clear();
  const auto end = server.logs(question);
  if (!end.ok()) return end;
  const std::scoped_lock lock(mutex_);
  log_base_ = std::min(log_base_.value_or(*end), *end);
  return *log_base_;
}

OneTask::End OneTask::wait(Millis at_most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most, [&] { return end_ != End::none; });
  return end_;
}

void OneTask::end(End how) {
  const std::scoped_lock lock(mutex_);
  if (end_ == End::none) end_ = how;
  changed_.notify_all();
}

}  // namespace mc::worker
