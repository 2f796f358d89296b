#include "blob/s3/s3_store.h"

#include <atomic>
#include <filesystem>

#include "blob/s3/contents.h"

namespace mc::blob {
namespace {
namespace fs = std::filesystem;

class S3Store final : public BlobStore {
 public:
  S3Store(const S3Settings& settings, const std::string& folder, std::unique_ptr<BlobStore> local)
      : client_(settings.place),
        contents_(client_, folder, settings.cache_bytes_max, settings.young, *settings.place.clock),
        local_(std::move(local)),
        logs_(client_, *local_, settings.logs) {}
  Status prepare() { return contents_.prepare(); }

  Status close() override {
    closed_ = true;
    return logs_.close();
  }
  Result<std::unique_ptr<Upload>> begin_upload() override {
    if (closed_) return closed_store();
    return contents_.begin_upload();
  }
  std::int64_t arrived(const PartsKey& key) override { return contents_.arrived(key); }
  Result<std::unique_ptr<Part>> resume(const PartsKey& key, std::int64_t offset,
                                       std::int64_t size) override {
    if (closed_) return closed_store();
    return contents_.resume(key, offset, size);
  }
  bool has(std::string_view digest) override { return contents_.has(digest); }
  Result<File> open(std::string_view digest) override { return contents_.open(digest); }
  Result<std::vector<std::string>> list_unused(Instant before, std::string_view after,
                                               int limit) override {
    return contents_.list_unused(before, after, limit);
  }
  Result<bool> remove_unused(std::string_view digest, Instant before) override {
    return contents_.remove_unused(digest, before);
  }
  Status drop_uploads(Instant before) override { return contents_.drop_uploads(before); }

  Result<std::int64_t> append_log(Uuid run, std::uint32_t node, int attempt, std::int64_t offset,
                                  const std::vector<LogPiece>& pieces) override {
    if (closed_) return closed_store();
    return logs_.append(run, node, attempt, offset, pieces);
  }
  Result<LogRead> read_log(Uuid run, std::uint32_t node, int attempt, std::int64_t offset,
                           std::int64_t bytes_max) override {
    if (const Status loaded = logs_.load(run, node, attempt); !loaded) return loaded.error();
    return local_->read_log(run, node, attempt, offset, bytes_max);
  }
  std::int64_t log_size(Uuid run, std::uint32_t node, int attempt) override {
    const Status loaded = logs_.load(run, node, attempt);
    return loaded ? local_->log_size(run, node, attempt) : 0;
  }
  Result<File> log_file(Uuid run, std::uint32_t node, int attempt) override {
    if (const Status loaded = logs_.load(run, node, attempt); !loaded) return loaded.error();
    return local_->log_file(run, node, attempt);
  }
  Status remove_logs(Uuid run) override { return logs_.remove(run); }
  std::uint64_t watch_logs(Uuid run, std::function<void(std::uint32_t, int)> changed) override {
    return local_->watch_logs(run, std::move(changed));
  }
  void unwatch_logs(std::uint64_t ticket) override { local_->unwatch_logs(ticket); }

 private:
  std::atomic<bool> closed_ = false;
  S3Client client_;
  S3Contents contents_;
  std::unique_ptr<BlobStore> local_;  // for logs
  S3Logs logs_;
};
}  // namespace

Status check_s3(const S3Settings& settings) {
  if (Status fine = check_place(settings.place); !fine) return fine;
  return S3Client(settings.place).check();
}

Result<std::unique_ptr<BlobStore>> open_s3(const S3Settings& settings) {
  // A replica asked when it began; one that takes over must not fail because S3 does, for a while.
  const bool leads = settings.logs.epoch > 0;
  if (const Status fine = leads ? Status() : check_s3(settings); !fine) return fine.error();
  const std::string folder = settings.folder + "/s3";
  std::error_code failed;
  // Another leader may have written since this one last led: its copies of logs are not to be
  // gone on with.
  if (leads && fs::remove_all(folder + "/logs", failed) == static_cast<std::uintmax_t>(-1))
    return Error{Code::data_folder, "cannot empty " + folder + "/logs: " + failed.message(), {}};
  auto local = open_disk(folder);
  if (!local) return local.error();
  auto store = std::make_unique<S3Store>(settings, folder, std::move(*local));
  if (const Status ready = store->prepare(); !ready) return ready.error();
  return std::unique_ptr<BlobStore>(std::move(store));
}

}  // namespace mc::blob
