// HTTP/1.1 server: reads within limits and deadlines, refuses what is malformed, and hands plain
// Requests to a Handler. Knows no domain type.
//
// Threads: one io_context a thread; a connection stays on the one it was given. Handler calls come
// on those threads and must not block; replies may come from any thread, also after the server has
// gone (they do nothing then).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "http/message.h"

namespace mc::http {

// What the head of a request already decides.
struct Admission {
  std::optional<Response> refusal;   // set: answered with this, and the body is not read
  std::uint64_t body_max = 1 << 20;  // bytes; more is answered with too_large
  std::shared_ptr<BodySink> sink;    // set: takes the body instead of Request::body
};

using Reply = std::function<void(Response)>;  // once; later calls do nothing

// Where a request is served, if not here.
struct Elsewhere {
  std::string address;          // HOST:PORT, HOST numeric; empty: not known yet, asked again
  std::vector<Header> headers;  // come before the client's: Request::header finds these
};

// By custom among Elsewhere::headers. A hint and no authority: a client can say it as well.
inline constexpr std::string_view kPassedOn = "Maestro-Passed-On";

class Handler {
 public:
  virtual ~Handler() = default;
  // After the head, before the body: the place to look at the token.
  virtual Admission admit(const Request& head) = 0;
  virtual void handle(Request request, Reply reply) = 0;
  // Where the request with this head is served; nullopt: here. Asked before admit(), for each
  // request, with ServerOptions::tunnels only. One that is served elsewhere is passed on, unread
  // but for its head, and its connection ends with the answer: the other server is told so by
  // "Connection: close". What a client has sent behind it, before the answer, is thrown away
  // there, and clients repeat it on another connection (RFC 9112, 9.3.2).
  virtual std::optional<Elsewhere> elsewhere(const Request& head) {
    static_cast<void>(head);
    return std::nullopt;
  }
};

struct ServerOptions {
  std::string listen = "127.0.0.1:4000";  // port 0: any free one
  int threads = 2;
  std::uint32_t header_bytes_max = 16 << 10;
  Millis header_time{10'000};  // from the first byte of a head to its last
  Millis body_time{30'000};    // from the head to the body's last byte
  // A body that goes to a sink may take longer, if at least so many bytes a second arrive.
  std::uint64_t sink_rate_min = 64 << 10;
  Millis idle_time{75'000};     // between two requests
  Millis write_time{30'000};    // without any progress towards a slow reader
  Millis handle_time{120'000};  // a handler that has not answered by then: 503
  Millis linger_time{2'000};    // for the peer to read an answer that came before its body was read
  int connections_max = 10'000;
  bool tunnels = false;  // whether Handler::elsewhere is asked
  // How long a request waits for a place elsewhere that takes it; then: 503.
  Millis tunnel_time{10'000};
  std::size_t stream_queue_max = 1 << 20;  // bytes a slow reader of a stream may be behind
};

// Whether a tunnel can go to HOST:PORT: HOST numeric, or localhost. Errors: invalid_setting.
Status check_address(const std::string& address);

class Server {
 public:
  // `handler` outlives the server. Errors: invalid_setting (the address), unreachable (in use).
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler& handler);
  ~Server();  // stop()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  int port() const;
  std::string address() const;  // "127.0.0.1:4000", as bound
  int connections() const;      // open now
  // Ends the connections that were passed on to `address`, as Handler::elsewhere said it; empty:
  // all. A request that is still on its way there is asked about again.
  void cut_tunnels(const std::string& address = {});
  void stop_accepting();
  // Takes no new connections, closes idle ones, ends streams, and waits until open requests are
  // answered, at most `limit`. True when all were.
  bool drain(Millis limit);
  // Cuts what is still open. Requires: not called on a thread of the server.
  void stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mc::http
