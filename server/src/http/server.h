// HTTP/1.1 server: reads within limits and deadlines, refuses what is malformed, and hands plain
// Requests to a Handler. Knows no domain type.
//
// Threads: one io_context a thread, each with its own listening socket (SO_REUSEPORT). Handler calls
// come on those threads and must not block; replies may come from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "http/message.h"

namespace mc::http {

// What the head of a request already decides.
struct Admission {
  std::optional<Response> refusal;   // set: answered with this, and the body is not read
  std::uint64_t body_max = 1 << 20;  // bytes; more is answered with too_large
};

using Reply = std::function<void(Response)>;  // exactly once; later calls do nothing

class Handler {
 public:
  virtual ~Handler() = default;
  virtual Admission admit(const Request& head) = 0;
  virtual void handle(Request request, Reply reply) = 0;
};

struct ServerOptions {
  std::string listen = "127.0.0.1:4000";  // port 0: any free one
  int threads = 2;
  std::uint32_t header_bytes_max = 16 << 10;
  Millis header_time{10'000};
  Millis body_time{30'000};
  Millis idle_time{75'000};
  Millis write_time{30'000};
  Millis handle_time{330'000};  // a handler that has not answered by then: 503
  int connections_max = 10'000;
};

class Server {
 public:
  // `handler` outlives the server. Errors: invalid_setting (the address), unreachable (in use).
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler& handler);
  ~Server();  // stop()
  int port() const;
  std::string address() const;  // "127.0.0.1:4000", as bound
  // Takes no new connections; waits until open requests are answered, at most `limit`.
  void drain(Millis limit);
  void stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mc::http
