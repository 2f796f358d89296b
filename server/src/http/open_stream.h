// The StreamWriter that handlers get: a bounded queue between any thread and the connection's.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "http/loop.h"
#include "http/message.h"

namespace mc::http {

class OpenStream final : public StreamWriter {
 public:
  // `chunked`: frames what is written as chunks (HTTP/1.1), else it is sent as it is.
  OpenStream(std::shared_ptr<Peer> peer, std::size_t queue_max, bool chunked)
      : peer_(std::move(peer)), queue_max_(queue_max), chunked_(chunked) {}

  bool write(std::string chunk) override;
  void close() override;
  void on_close(std::function<void()> closed) override;

  // For the connection.
  struct Batch {
    std::string bytes;
    bool last = false;  // nothing will follow
  };
  // What waits to be sent; what was taken before counts as sent.
  Batch take();
  // The reader was too slow: the connection ends here.
  bool is_cut();
  // The connection has ended, or everything was sent.
  void end();

 private:
  void wake();  // Requires: mutex_ not held

  const std::shared_ptr<Peer> peer_;
  const std::size_t queue_max_;
  const bool chunked_;
  std::mutex mutex_;  // guards what follows
  std::string waiting_;
  std::size_t under_way_ = 0;
  bool wake_due_ = false;
  bool closing_ = false;
  bool cut_ = false;
  bool ended_ = false;
  std::function<void()> closed_;
};

}  // namespace mc::http
