// Bytes of workers, by digest, in one request.
#include "api/blob_sink.h"
#include "api/call.h"
#include "api/files.h"
#include "api/handlers.h"
#include "api/hold.h"
#include "http/problem.h"

namespace mc::api {

void BlobSink::write(std::string piece, Next next) {
  const Gate::Guest inside = call_->world->gate.enter();
  if (!inside) return next(refuse(stopping()));
  auto self = shared_from_this();
  auto go_on = [self, piece = std::move(piece), next] { self->take(piece, next); };
  if (target_) return on_pool(std::move(go_on), next);
  const Result<TaskQuery> task = read_task(*call_);
  if (!task) return next(refuse(task.error()));
  call_->service().check_hold(
      task->task_id, task->fence,
      [self, go_on = std::move(go_on), next](const Result<conductor::LogTarget>& target) {
        if (!target) return next(self->refuse(target.error()));
        self->target_ = *target;
        self->on_pool(go_on, next);
      });
}

void BlobSink::on_pool(std::function<void()> work, const Next& next) {
  if (call_->world->pool.run(std::move(work))) return;
  const bool stopped = call_->world->stopped;
  next(refuse(stopped ? stopping()
                      : Error{Code::overloaded, "too many uploads: try again soon", {}}));
}

void BlobSink::take(const std::string& piece, const Next& next) {
  Status taken = begun_ ? Status() : begin(*target_);
  begun_ = begun_ || taken;
  if (taken) taken = append(piece);
  taken ? next(std::nullopt) : next(refuse(taken.error()));
}

http::Response BlobSink::refuse(const Error& error) const {
  return http::problem(error, call_->request.request_id);
}

Result<std::string> digest_of(const Call& call) {
  const std::string& digest = call.params.at(0);
  if (!blob::hex_of_digest(digest).empty()) return digest;
  return Error{Code::invalid_field, "digest: sha256: and 64 lower-case hex digits are wanted", {}};
}

namespace {
class WholeSink final : public BlobSink {
 public:
  using BlobSink::BlobSink;
  // On the pool, after the last piece.
  Status finish(std::string_view digest) { return upload_->finish(digest); }

 private:
  Status begin(const conductor::LogTarget& /*target*/) override {
    auto begun = call_->service().blobs().begin_upload();
    if (!begun) return begun.error();
    upload_ = keep(std::move(*begun));
    return {};
  }
  Status append(std::string_view piece) override { return upload_->write(piece); }

  blob::BlobStore::Upload* upload_ = nullptr;  // kept
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
  return std::make_shared<WholeSink>(call);
}

void worker_put_blob(const CallPtr& call) {
  const Result<std::string> digest = digest_of(*call);
  if (!digest) return call->fail(digest.error());
  with_hold(call, [call, digest = *digest](const Held&) {
    const auto sink = std::dynamic_pointer_cast<WholeSink>(call->request.sink);
    if (!sink || !sink->begun()) return store_whole(call, digest);
    const Status kept = sink->finish(digest);
    kept ? call->no_content() : call->fail(kept.error());
  });
}

void worker_get_blob(const CallPtr& call) {
  const Result<std::string> digest = digest_of(*call);
  if (!digest) return call->fail(digest.error());
  with_hold(call, [call, digest = *digest](const Held& held) {
    blob::BlobStore& blobs = call->service().blobs();
    http::Response missing = http::problem({Code::not_found, "there is no blob " + digest, {}},
                                           call->request.request_id);
    if (call->request.head_only) {
      // In this order: an upload that is finished meanwhile is there.
      missing.headers.push_back(upload_offset(blobs.arrived(parts_key(held.target, digest))));
      // Who asks whether it is there is about to refer to it: it is kept from now on.
      return call->answer(blobs.has(digest) ? http::Response{.status = 200} : std::move(missing));
    }
    const auto file = blobs.open(digest);
    if (!file && file.error().code != Code::not_found) return call->fail(file.error());
    if (!file) return call->answer(std::move(missing));
    answer_file(*call, {.content_type = "application/octet-stream"}, file->path, file->size);
  });
}
}  // namespace mc::api
