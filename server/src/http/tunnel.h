// Passes the bytes of a client's connection on to another server and what that one says back, both
// ways at once and unread: bodies of any size, streams and long polls travel as they are. What one
// side sends too fast waits in that side's socket. A server that has closed its end, and so takes
// nothing more, may have answered before: its answer is carried to the end, also when it has reset
// the connection, and what the client still sends is read and thrown away.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "http/loop.h"

namespace mc::http {

// Thread: the loop's of its client. Operations under way keep the object, and with it `owner`,
// until they have ended.
class Tunnel : public std::enable_shared_from_this<Tunnel> {
 public:
  // How long the other server has to take the connection.
  static constexpr Millis kConnectTime{1'000};
  // A client hangs up after the server has: how long it may say nothing, and take in all.
  static constexpr Millis kLingerTime{2'000};
  static constexpr Millis kLingerMax{30'000};

  // `connected` is called when the other server has taken the connection, `ended` once at the end,
  // also when it has not; neither after close(). `owner` keeps `client` alive.
  Tunnel(std::shared_ptr<void> owner, asio::ip::tcp::socket& client, asio::io_context& context,
         std::function<void()> connected, std::function<void()> ended);
  // Connects to HOST:PORT, HOST numeric, and sends `first`, what was read of the client already.
  void start(const std::string& to, std::string first);
  void close();
  // What start() was given.
  const std::string& address() const { return address_; }

 private:
  // One of the two directions.
  struct Way {
    asio::ip::tcp::socket& from;
    asio::ip::tcp::socket& to;
    std::array<char, 64 << 10> bytes;
    bool over = false;
    bool deaf = false;  // nobody hears any more: what comes is thrown away
  };
  void begin(const std::string& first);
  void carry(Way& way);
  void carried(Way& way, bool failed);
  void finish(Way& way);
  void linger();
  void end_after(Millis time);
  void end();

  const std::shared_ptr<void> owner_;
  asio::ip::tcp::socket server_;
  asio::steady_timer timer_;
  std::function<void()> taken_;
  std::function<void()> ended_;
  std::chrono::steady_clock::time_point linger_until_;
  bool closed_ = false;  // the client's socket may be gone
  std::string address_;
  std::string first_;
  Way up_, down_;
};

}  // namespace mc::http
