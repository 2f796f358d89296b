// Bytes of workers, by digest, in parts: each says where it begins, and what has arrived stays.
#include "api/blob_sink.h"
#include "api/body.h"
#include "api/handlers.h"
#include "api/hold.h"
#include "http/problem.h"

namespace mc::api {

http::Header upload_offset(std::int64_t bytes) { return {"Upload-Offset", std::to_string(bytes)}; }

blob::PartsKey parts_key(const conductor::LogTarget& target, std::string digest) {
  return {target.run, target.node, target.attempt, std::move(digest)};
}

namespace {
Result<std::int64_t> read_bytes(const Call& call, const char* header) {
  const std::string* text = call.request.header(header);
  if (text == nullptr) return Error{Code::missing_field, std::string(header) + ": is missing", {}};
  if (const auto number = read_integer(*text, 0, INT64_MAX)) return *number;
  return Error{Code::invalid_field, std::string(header) + ": a number of bytes is wanted", {}};
}

struct Place {
  std::string digest;
  std::int64_t offset = 0;
  std::int64_t size = 0;  // of the upload
};
Result<Place> read_place(const Call& call) {
  const Result<std::string> digest = digest_of(call);
  if (!digest) return digest.error();
  const Result<std::int64_t> offset = read_bytes(call, "Upload-Offset");
  if (!offset) return offset.error();
  const Result<std::int64_t> size = read_bytes(call, "Upload-Length");
  if (!size) return size.error();
  if (*size > static_cast<std::int64_t>(kBlobBody))
    return Error{Code::too_large, "Upload-Length: a blob has at most 5 GiB", {}};
  if (*offset > *size)
    return Error{Code::invalid_field, "Upload-Offset: is beyond Upload-Length", {}};
  return Place{*digest, *offset, *size};
}

class PartSink final : public BlobSink {
 public:
  using BlobSink::BlobSink;

  Status begin(const conductor::LogTarget& target) override {
    const Result<Place> place = read_place(*call_);
    if (!place) return place.error();
    key_ = parts_key(target, place->digest);
    auto part = call_->service().blobs().resume(*key_, place->offset, place->size);
    if (!part) return part.error();
    part_ = keep(std::move(*part));
    return {};
  }
  Status append(std::string_view piece) override { return part_->write(piece); }
  // On the pool, after the last piece.
  Result<std::int64_t> finish() { return part_->finish(); }

  // Who begins at the wrong place is told the right one.
  http::Response refuse(const Error& error) const override {
    http::Response response = BlobSink::refuse(error);
    if (error.code == Code::conflict && key_ && part_ == nullptr)
      response.headers.push_back(upload_offset(call_->service().blobs().arrived(*key_)));
    return response;
  }

 private:
  std::optional<blob::PartsKey> key_;
  blob::BlobStore::Part* part_ = nullptr;  // kept
};
}  // namespace

std::shared_ptr<http::BodySink> worker_part_sink(const CallPtr& call) {
  return std::make_shared<PartSink>(call);
}

void worker_patch_blob(const CallPtr& call) {
  with_hold(call, [call](const Held& held) {
    auto sink = std::dynamic_pointer_cast<PartSink>(call->request.sink);
    if (!sink) sink = std::make_shared<PartSink>(call);
    // Nothing came in pieces: the body is empty (all has arrived before), or all at hand.
    Status taken = sink->begun() ? Status() : sink->begin(held.target);
    if (taken && !call->request.body.empty()) taken = sink->append(call->request.body);
    const auto end = taken ? sink->finish() : Result<std::int64_t>(taken.error());
    if (!end) return call->answer(sink->refuse(end.error()));
    call->answer({.status = 204, .headers = {upload_offset(*end)}});
  });
}
}  // namespace mc::api
