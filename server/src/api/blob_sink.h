// A worker's bytes on their way to the disk, piece by piece: a body is never whole in memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/call.h"

namespace mc::api {

// The hold is checked before the first byte is written; from then on the body is this sink's.
class BlobSink : public http::BodySink, public std::enable_shared_from_this<BlobSink> {
 public:
  explicit BlobSink(CallPtr call) : call_(std::move(call)) {}
  ~BlobSink() override { call_->world->bodies.drop(this); }
  void write(std::string piece, Next next) final;
  bool begun() const { return begun_; }

 protected:
  // On the pool: once before the first piece, then each piece. An error ends the exchange.
  virtual Status begin(const conductor::LogTarget& target) = 0;
  virtual Status append(std::string_view piece) = 0;
  virtual http::Response refuse(const Error& error) const;
  // Keeps something of the blob store until this ends or the Api is stopped. Once; on the pool.
  template <class T>
  T* keep(std::unique_ptr<T> thing) {
    T* kept = thing.get();
    call_->world->bodies.put(this, std::move(thing));
    return kept;
  }

  const CallPtr call_;

 private:
  void on_pool(std::function<void()> work, const Next& next);
  void take(const std::string& piece, const Next& next);

  std::optional<conductor::LogTarget> target_;
  bool begun_ = false;
};

// The {digest} of a path. Errors: invalid_field.
Result<std::string> digest_of(const Call& call);
// How much of an upload in parts has arrived, as its sender is told.
http::Header upload_offset(std::int64_t bytes);
blob::PartsKey parts_key(const conductor::LogTarget& target, std::string digest);

}  // namespace mc::api
