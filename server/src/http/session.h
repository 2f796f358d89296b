// One connection: reads requests one after the other, has them handled, writes the answers in order.
#pragma once

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <deque>
#include <memory>

#include "http/request_head.h"
#include "http/server.h"

namespace mc::http {

namespace asio = boost::asio;
namespace beast = boost::beast;

// Shared by all connections of a server; outlives them.
struct SessionWorld {
  const ServerOptions& options;
  Handler& handler;
  std::atomic<int> connections{0};
  std::atomic<int> handling{0};  // requests taken, not answered
  std::atomic<bool> draining{false};
};

// Lives as long as some operation of it is under way. Thread: its stream's executor.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(asio::ip::tcp::socket socket, SessionWorld& world);
  ~Session();
  void run();

 private:
  class Stream;
  friend class Stream;
  void read_head();
  void on_head(beast::error_code error);
  void read_body();
  void on_body(beast::error_code error);
  void dispatch();
  void answer(Response response);
  void refuse(const Error& error, bool close);
  void write_plain(Response response);
  void write_file(Response response);
  void write_file_piece();
  void begin_stream(Response response);
  void finish(bool ok);
  beast::http::response_header<> make_head(Response& response) const;

  SessionWorld& world_;
  beast::tcp_stream stream_;
  asio::steady_timer handler_timer_;
  beast::flat_buffer buffer_;
  std::optional<beast::http::request_parser<beast::http::string_body>> parser_;
  Request request_;
  std::uint64_t turn_ = 0;  // counts requests: a late reply to an earlier one is dropped
  bool answered_ = false;
  bool keep_alive_ = true;
  bool head_only_ = false;
  std::optional<beast::http::response<beast::http::string_body>> plain_;
  std::optional<beast::http::response<beast::http::empty_body>> head_;
  std::optional<beast::http::response_serializer<beast::http::empty_body>> head_writer_;
  int file_ = -1;
  std::int64_t file_left_ = 0;
  std::string piece_;
};

}  // namespace mc::http
