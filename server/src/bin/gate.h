// Stands before the API while it starts, so that the port is known, and taken, before anything
// else.
#pragma once

#include <atomic>

#include "http/server.h"

namespace mc::bin {

class Gate final : public http::Handler {
 public:
  // `handler` must outlive every call.
  void open(http::Handler& handler) { inner_.store(&handler); }
  bool is_open() const { return inner_.load() != nullptr; }
  http::Admission admit(const http::Request& head) override;
  void handle(http::Request request, http::Reply reply) override;

 private:
  std::atomic<http::Handler*> inner_{nullptr};
};

}  // namespace mc::bin
