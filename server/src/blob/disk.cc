#include <atomic>
#include <filesystem>
#include <list>
#include <mutex>
#include <unordered_map>

#include "blob/blob_store.h"
#include "blob/content.h"
#include "blob/log_file.h"
#include "blob/parts.h"
#include "blob/watchers.h"

namespace mc::blob {
namespace {
namespace fs = std::filesystem;
constexpr std::size_t kOpenLogsMax = 256;  // two descriptors each

struct LogKey {
  Uuid run;
  std::uint32_t node = 0;
  int attempt = 0;
  bool operator==(const LogKey&) const = default;
};
struct LogKeyHash {
  std::size_t operator()(const LogKey& key) const {
    return std::hash<Uuid>()(key.run) ^ (std::size_t{key.node} << 8U) ^
           static_cast<std::size_t>(key.attempt);
  }
};

// The logs in use, the latest first. A log that somebody is at work on is never dropped: two
// objects for one file would not agree on its size.
class OpenLogs {
 public:
  Result<std::shared_ptr<LogFile>> get(const LogKey& key, const std::string& stem, bool create) {
    const std::scoped_lock lock(mutex_);
    if (const auto known = places_.find(key); known != places_.end()) {
      order_.splice(order_.begin(), order_, known->second);
      return known->second->second;
    }
    auto log = LogFile::open(stem, create);
    if (!log.ok()) return log;
    drop_idle();
    order_.emplace_front(key, *log);
    places_[key] = order_.begin();
    return log;
  }

  void clear() {
    const std::scoped_lock lock(mutex_);
    places_.clear();
    order_.clear();
  }

  void forget(Uuid run) {
    const std::scoped_lock lock(mutex_);
    for (auto it = order_.begin(); it != order_.end();) {
      if (it->first.run != run) {
        ++it;
        continue;
      }
      places_.erase(it->first);
      it = order_.erase(it);
    }
  }

 private:
  void drop_idle() {
    for (auto it = order_.end(); order_.size() >= kOpenLogsMax && it != order_.begin();) {
      --it;
      if (it->second.use_count() > 1) continue;
      places_.erase(it->first);
      it = order_.erase(it);
    }
  }

  using Order = std::list<std::pair<LogKey, std::shared_ptr<LogFile>>>;
  std::mutex mutex_;  // guards what follows
  Order order_;
  std::unordered_map<LogKey, Order::iterator, LogKeyHash> places_;
};

class DiskStore final : public BlobStore {
 public:
  explicit DiskStore(const std::string& folder)
      : folder_(folder), content_(folder), parts_(folder, content_) {}
  Status prepare() {
    const Status ready = content_.prepare();
    return ready ? parts_.prepare() : ready;
  }

  Status close() override {
    closed_ = true;
    // Over NFS what was written is there for others once the file is closed.
    logs_.clear();
    return {};
  }
  Result<std::unique_ptr<Upload>> begin_upload() override {
    if (closed_) return closed_store();
    return content_.begin_upload();
  }
  std::int64_t arrived(const PartsKey& key) override { return parts_.arrived(key); }
  Result<std::unique_ptr<Part>> resume(const PartsKey& key, std::int64_t offset,
                                       std::int64_t size) override {
    if (closed_) return closed_store();
    return parts_.resume(key, offset, size);
  }
  bool has(std::string_view digest) override { return content_.has(digest); }
  Result<File> open(std::string_view digest) override { return content_.open(digest); }
  Result<std::vector<std::string>> list_unused(Instant before, std::string_view after,
                                               int limit) override {
    return content_.list_unused(before, after, limit);
  }
  Result<bool> remove_unused(std::string_view digest, Instant before) override {
    return content_.remove_unused(digest, before);
  }
  Status drop_uploads(Instant before) override {
    content_.drop_uploads(before);
    return parts_.drop(before);
  }

  Result<std::int64_t> append_log(Uuid run, std::uint32_t node, int attempt, std::int64_t offset,
                                  const std::vector<LogPiece>& pieces) override {
    if (closed_) return closed_store();
    auto log = logs_.get({run, node, attempt}, stem(run, node, attempt), true);
    if (!log.ok()) {
      // The run's first log makes its folder.
      std::error_code failed;
      fs::create_directories(run_folder(run), failed);
      log = logs_.get({run, node, attempt}, stem(run, node, attempt), true);
    }
    if (!log.ok()) return log.error();
    auto end = (*log)->append(offset, pieces);
    if (end.ok()) watchers_.notify(run, node, attempt);
    return end;
  }

  Result<LogRead> read_log(Uuid run, std::uint32_t node, int attempt, std::int64_t offset,
                           std::int64_t bytes_max) override {
    // To open it is to mend it, which is the next leader's.
    if (closed_) return closed_store();
    auto log = logs_.get({run, node, attempt}, stem(run, node, attempt), false);
    if (log.ok()) return (*log)->read(offset, bytes_max);
    if (log.error().code == Code::not_found) return LogRead{};
    return log.error();
  }

  std::int64_t log_size(Uuid run, std::uint32_t node, int attempt) override {
    if (closed_) return 0;
    auto log = logs_.get({run, node, attempt}, stem(run, node, attempt), false);
    return log.ok() ? (*log)->size() : 0;
  }

  Result<File> log_file(Uuid run, std::uint32_t node, int attempt) override {
    if (closed_) return closed_store();
    auto log = logs_.get({run, node, attempt}, stem(run, node, attempt), false);
    if (!log.ok()) return Error{Code::not_found, "nothing was logged", {}};
    return File{stem(run, node, attempt) + ".log", (*log)->size()};
  }

  Status remove_logs(Uuid run) override {
    logs_.forget(run);
    std::error_code failed;
    fs::remove_all(run_folder(run), failed);
    if (failed) return Error{Code::store_failed, "cannot remove logs: " + failed.message(), {}};
    return {};
  }

  std::uint64_t watch_logs(Uuid run, std::function<void(std::uint32_t, int)> changed) override {
    return watchers_.add(run, std::move(changed));
  }
  void unwatch_logs(std::uint64_t ticket) override { watchers_.remove(ticket); }

 private:
  std::string run_folder(Uuid run) const { return folder_ + "/logs/" + to_string(run); }
  std::string stem(Uuid run, std::uint32_t node, int attempt) const {
    return run_folder(run) + "/" + std::to_string(node) + "." + std::to_string(attempt);
  }

  std::string folder_;
  std::atomic<bool> closed_ = false;
  Content content_;
  Parts parts_;
  OpenLogs logs_;
  Watchers watchers_;
};
}  // namespace

Result<std::unique_ptr<BlobStore>> open_disk(const std::string& folder) {
  auto store = std::make_unique<DiskStore>(folder);
  if (const Status ready = store->prepare(); !ready) return ready.error();
  return std::unique_ptr<BlobStore>(std::move(store));
}

}  // namespace mc::blob
