// Bytes of workers, by digest. A body goes to the disk piece by piece and is never whole in memory.
#include "api/call.h"
#include "api/files.h"
#include "api/handlers.h"
#include "api/hold.h"
#include "http/problem.h"

namespace mc::api {
namespace {
bool is_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  constexpr std::size_t kHex = 64;
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + kHex) return false;
  return text.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string_view::npos;
}

Error not_a_digest() {
  return {Code::invalid_field, "digest: sha256: and 64 lower-case hex digits are wanted", {}};
}

// The hold is checked before the first byte is written; from then on the upload is this sink's.
class BlobSink final : public http::BodySink, public std::enable_shared_from_this<BlobSink> {
 public:
  explicit BlobSink(CallPtr call) : call_(std::move(call)) {}

  void write(std::string piece, Next next) override {
    auto self = shared_from_this();
    auto go_on = [self, piece = std::move(piece), next] { self->append(piece, next); };
    if (upload_) return on_pool(std::move(go_on), next);
    const Result<TaskQuery> task = read_task(*call_);
    if (!task) return next(refuse(task.error()));
    call_->service().check_hold(
        task->task_id, task->fence,
        [self, go_on = std::move(go_on), next](const Result<conductor::LogTarget>& target) {
          if (!target) return next(self->refuse(target.error()));
          self->on_pool(go_on, next);
        });
  }

  // On the pool, after the last piece.
  Status finish(std::string_view digest) {
    if (!upload_) return Error{Code::invalid_field, "the body is empty", {}};
    return upload_->finish(digest);
  }
  bool begun() const { return upload_ != nullptr; }

 private:
  void on_pool(std::function<void()> work, const Next& next) {
    if (!call_->world->pool.run(std::move(work)))
      next(refuse({Code::overloaded, "too many uploads: try again soon", {}}));
  }
  void append(const std::string& piece, const Next& next) {
    if (!upload_) {
      auto begun = call_->service().blobs().begin_upload();
      if (!begun) return next(refuse(begun.error()));
      upload_ = std::move(*begun);
    }
    const Status written = upload_->write(piece);
    written ? next(std::nullopt) : next(refuse(written.error()));
  }
  http::Response refuse(const Error& error) const {
    return http::problem(error, call_->request.request_id);
  }

  const CallPtr call_;
  std::unique_ptr<blob::BlobStore::Upload> upload_;
};

void store_whole(const CallPtr& call, std::string_view digest) {
  auto upload = call->service().blobs().begin_upload();
  if (!upload) return call->fail(upload.error());
  if (const Status written = (*upload)->write(call->request.body); !written)
    return call->fail(written.error());
  const Status kept = (*upload)->finish(digest);
  kept ? call->no_content() : call->fail(kept.error());
}
}  // namespace

std::shared_ptr<http::BodySink> worker_blob_sink(const CallPtr& call) {
  return std::make_shared<BlobSink>(call);
}

void worker_put_blob(const CallPtr& call) {
  const std::string digest = call->params.at(0);
  if (!is_digest(digest)) return call->fail(not_a_digest());
  with_hold(call, [call, digest](const Held&) {
    const auto sink = std::dynamic_pointer_cast<BlobSink>(call->request.sink);
    if (!sink || !sink->begun()) return store_whole(call, digest);
    const Status kept = sink->finish(digest);
    kept ? call->no_content() : call->fail(kept.error());
  });
}

void worker_get_blob(const CallPtr& call) {
  const std::string digest = call->params.at(0);
  if (!is_digest(digest)) return call->fail(not_a_digest());
  with_hold(call, [call, digest](const Held&) {
    blob::BlobStore& blobs = call->service().blobs();
    // Who asks whether it is there is about to refer to it: it is kept from now on.
    if (call->request.head_only && blobs.has(digest)) return call->answer({.status = 200});
    const auto file = blobs.open(digest);
    if (!file && file.error().code != Code::not_found) return call->fail(file.error());
    if (!file) return call->fail({Code::not_found, "there is no blob " + digest, {}});
    answer_file(*call, {.content_type = "application/octet-stream"}, file->path, file->size);
  });
}
}  // namespace mc::api
