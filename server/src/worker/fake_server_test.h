// A server in memory for tests: hands out tasks, takes logs, results, blobs and cache entries.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>

#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "client/worker_api.h"
#include "worker/job_runner.h"
#include "worker/sweep.h"

namespace mc::worker {

inline constexpr auto kPatience = std::chrono::seconds(30);
constexpr std::size_t kFakeBlobMax = 1 << 30;

// The part of a task's id before "@": what tests call it by.
inline std::string short_id(const std::string& task_id) {
  return task_id.substr(0, task_id.find('@'));
}

struct FakeServer {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> ready;
  std::map<std::string, TaskResult> results;
  std::map<std::string, std::string> logs;  // short id → text, as `results`
  std::map<std::string, std::string> blobs;
  std::map<std::string, client::CacheEntry> cache;
  std::vector<ArtifactRef> artifacts;
  std::vector<std::string> cancel, lost;
  std::atomic<int> failing{0};         // so many calls answer "unreachable"
  int blobs_refused = 0;               // so many of them asked for a blob
  Code blob_refusal = Code::internal;  // internal: none; else what find_blob answers
  bool takes_parts = true;
  std::map<std::string, std::string> arrived;  // of uploads in parts
  bool stands = false;                         // takes parts, and keeps nothing of them
  int breaks = 0;                              // so many parts break off half way
  std::size_t part_bytes = 0;                  // that came in parts
  std::vector<std::int64_t> part_offsets;
  int puts = 0;  // in one request
  int registrations = 0, refused = 0, completes = 0, polls = 0;
  Code refuse_registration = Code::internal;  // internal: none
  wire::RegisterRequest last_registration;
  std::optional<wire::PollRequest> last_poll;
  wire::CompleteRequest last_complete;
  bool forget_worker = false;  // the next call under a worker id answers worker_not_found
  Code refuse_complete =
      Code::internal;  // internal: none; else complete of more than a kilobyte fails so

  bool wait(const std::function<bool()>& what) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kPatience, what);
  }
  void give(Task task) {
    const std::scoped_lock lock(mutex);
    ready.push_back(std::move(task));
    changed.notify_all();
  }
  std::string log(const std::string& task_id) {
    const std::scoped_lock lock(mutex);
    return logs[short_id(task_id)];
  }
};

class FakeApi final : public client::WorkerApi {
 public:
  explicit FakeApi(FakeServer& server) : server_(server) {}

  Result<wire::RegisterReply> register_worker(const wire::RegisterRequest& request) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    server_.last_registration = request;
    if (server_.refuse_registration != Code::internal) {
      ++server_.refused;
      server_.changed.notify_all();
      return Error{server_.refuse_registration, "no", {}};
    }
    ++server_.registrations;
    server_.changed.notify_all();
    return wire::RegisterReply{"w" + std::to_string(server_.registrations), 20, 1000};
  }
  Result<std::vector<Task>> poll(const wire::PollRequest& request, std::stop_token stop) override {
    if (down()) return away();
    std::unique_lock lock(server_.mutex);
    ++server_.polls;
    server_.last_poll = request;
    server_.changed.notify_all();
    if (std::exchange(server_.forget_worker, false))
      return Error{Code::worker_not_found, "who?", {}};
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(request.wait_ms);
    while (server_.ready.empty() && !stop.stop_requested() &&
           std::chrono::steady_clock::now() < until) {
      server_.changed.wait_for(lock, std::chrono::milliseconds(5));
    }
    return take(request.max);
  }
  Result<wire::HeartbeatReply> heartbeat(const wire::HeartbeatRequest&, Millis) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    return wire::HeartbeatReply{server_.cancel, server_.lost};
  }
  Result<wire::CompleteReply> complete(const wire::CompleteRequest& request) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    ++server_.completes;
    server_.last_complete = request;
    wire::CompleteReply reply;
    for (const TaskResult& result : request.results) {
      if (server_.refuse_complete != Code::internal && to_json(result.outputs).size() > 1024) {
        return Error{server_.refuse_complete, "too much", {}};
      }
    }
    for (const TaskResult& result : request.results) {
      server_.results[short_id(result.task_id)] = result;
      reply.accepted.push_back(result.task_id);
    }
    reply.tasks = take(request.max);
    server_.changed.notify_all();
    return reply;
  }
  Result<std::int64_t> logs(const wire::LogsRequest& request) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    std::string& log = server_.logs[short_id(request.task_id)];
    const auto end = static_cast<std::int64_t>(log.size());
    if (request.offset > end) return Error{Code::invalid_field, "a gap", {}};
    std::string text;
    for (const wire::LogChunk& chunk : request.chunks) text += chunk.text;
    const auto repeated = static_cast<std::size_t>(end - request.offset);
    if (repeated < text.size()) log += text.substr(repeated);
    server_.changed.notify_all();
    return static_cast<std::int64_t>(log.size());
  }
  Result<client::BlobState> find_blob(const client::Hold&, const std::string& digest) override {
    const bool refused = down();
    const std::scoped_lock lock(server_.mutex);
    if (refused) {
      ++server_.blobs_refused;
      server_.changed.notify_all();
      return away();
    }
    if (server_.blob_refusal != Code::internal) return Error{server_.blob_refusal, "no", {}};
    client::BlobState state{.whole = server_.blobs.contains(digest), .arrived = {}};
    if (!state.whole && server_.takes_parts)
      state.arrived = static_cast<std::int64_t>(server_.arrived[digest].size());
    return state;
  }
  // As the real one: what arrives before the line breaks stays, and only the right end is gone on
  // with.
  Result<std::int64_t> put_part(const client::Hold&, const std::string& digest,
                                const std::string& file, const client::FilePart& part) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    std::string& bytes = server_.arrived[digest];
    server_.part_offsets.push_back(part.offset);
    if (part.offset != static_cast<std::int64_t>(bytes.size()))
      return Error{Code::conflict, "it stands elsewhere", {}};
    const std::string whole = *read_file(file, kFakeBlobMax);
    std::string piece =
        whole.substr(static_cast<std::size_t>(part.offset), static_cast<std::size_t>(part.length));
    if (server_.stands) return part.offset;
    const bool breaks = server_.breaks > 0 && server_.breaks-- > 0;
    if (breaks) piece.resize(piece.size() / 2);
    bytes += piece;
    server_.part_bytes += piece.size();
    if (breaks) return away();
    const auto end = static_cast<std::int64_t>(bytes.size());
    if (end < part.file_size) return end;
    if ("sha256:" + sha256_hex(bytes) != digest) {
      server_.arrived.erase(digest);
      return Error{Code::invalid_field, "another digest", {}};
    }
    server_.blobs[digest] = std::move(bytes);
    return end;
  }
  Status put_blob(const client::Hold&, const std::string& digest,
                  const std::string& file) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    ++server_.puts;
    server_.blobs[digest] = *read_file(file, kFakeBlobMax);
    return {};
  }
  Status get_blob(const client::Hold&, const std::string& digest,
                  const std::string& file) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    if (!server_.blobs.contains(digest)) return Error{Code::not_found, "no blob", {}};
    return write_file(file, server_.blobs[digest]);
  }
  Result<std::optional<client::CacheEntry>> cache_get(const client::Hold&, const std::string& scope,
                                                      const std::string& key) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    const auto at = server_.cache.find(scope + "/" + key);
    return at == server_.cache.end() ? std::nullopt : std::optional(at->second);
  }
  Status cache_put(const client::Hold&, const std::string& scope, const std::string& key,
                   const client::CacheEntry& entry) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    server_.cache[scope + "/" + key] = entry;
    return {};
  }
  Result<std::vector<ArtifactRef>> find_artifacts(const client::Hold&, Uuid,
                                                  const std::string& name) override {
    if (down()) return away();
    const std::scoped_lock lock(server_.mutex);
    std::vector<ArtifactRef> found;
    for (const ArtifactRef& artifact : server_.artifacts) {
      if (name.empty() || artifact.name == name) found.push_back(artifact);
    }
    return found;
  }

 private:
  static Error away() { return {Code::unreachable, "the server is away", {}}; }
  bool down() {
    int left = server_.failing.load();
    while (left > 0 && !server_.failing.compare_exchange_weak(left, left - 1)) {}
    return left > 0;
  }
  std::vector<Task> take(int max) {
    std::vector<Task> tasks;
    while (!server_.ready.empty() && static_cast<int>(tasks.size()) < max) {
      tasks.push_back(std::move(server_.ready.front()));
      server_.ready.pop_front();
    }
    server_.changed.notify_all();
    return tasks;
  }
  FakeServer& server_;
};

// Runs tasks in a folder of its own, with short durations.
class JobRig : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path().string() + "/mc_worker_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    data_ = pattern;
    become_subreaper();
    settings_.data = data_;
    settings_.environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "SECRET_OF_WORKER=x",
                             "LC_ALL=C"};
    settings_.ladder = {.ask = Duration(150), .terminate = Duration(150)};
    settings_.finally_timeout = Duration(60'000);
    settings_.logs.batch_time = std::chrono::milliseconds(20);
    settings_.logs.retry_first = std::chrono::milliseconds(2);
  }
  void TearDown() override { std::filesystem::remove_all(data_); }

  // What a job leaves is found by its task's id on the whole machine: tests that run beside each
  // other must have none in common.
  std::string own(const std::string& id) const { return id + "@" + data_; }
  // `job` and `more` are JSON: the job's source and further members of the spec.
  Task task(const std::string& job, const std::string& more = "", const std::string& id = "t1") {
    Task made{
        .task_id = own(id), .fence = 1, .run_id = Uuid{0x11, 0x22}, .job = "build", .attempt = 2};
    made.spec_json = R"({"workflow":"ci","key":"build","phase":"graph","cache_scope":"p",)"
                     R"("run":{"actor":"ada"},"job":)" +
                     job + (more.empty() ? "" : "," + more) + "}";
    return made;
  }
  TaskResult run(const std::string& job, const std::string& more = "",
                 const std::string& id = "t1") {
    FakeApi api(server_);
    const Task made = task(job, more, id);
    return run_task(made, settings_, api, control_, sender(api, made));
  }
  SendLog sender(FakeApi& api, const Task& made) {
    return [&api, &made](std::int64_t offset, const std::vector<wire::LogChunk>& chunks) {
      return api.logs({"w", made.task_id, made.fence, offset, chunks});
    };
  }
  // A job of one script.
  static std::string script(const std::string& text, const std::string& more = "") {
    return R"({"steps":[{"id":"one","run":)" + to_json(Value(text)) + "}]" +
           (more.empty() ? "" : "," + more) + "}";
  }
  std::string log(const std::string& id = "t1") { return server_.log(id); }

  std::string data_;
  RunSettings settings_;
  FakeServer server_;
  TaskControl control_;
};

}  // namespace mc::worker
