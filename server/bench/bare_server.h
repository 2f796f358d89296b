// The smallest HTTP server that Beast makes: what B10 holds Maestro's own against.
#pragma once

#include <memory>

namespace mc::bench {

// Serves on 127.0.0.1, any free port, on two threads, one io_context each, until it goes.
class BareServer {
 public:
  BareServer();
  ~BareServer();
  BareServer(const BareServer&) = delete;
  BareServer& operator=(const BareServer&) = delete;
  int port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mc::bench
