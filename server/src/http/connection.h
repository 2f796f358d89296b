// One connection: reads requests one after the other, has them handled, writes the answers in
// order.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "http/input.h"
#include "http/loop.h"
#include "http/request_reader.h"

namespace mc::http {

class OpenStream;
class Tunnel;

// Owned by its loop until close(); operations under way keep the object until they have ended.
// Thread: its loop's.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::ip::tcp::socket socket, Loop& loop, std::uint64_t id);
  void start();
  // The answer to request number `turn`; late and second ones are dropped.
  void answer(std::uint64_t turn, Response response);
  // What a sink says after a piece of request number `turn`.
  void continue_body(std::uint64_t turn, std::optional<Response> refusal);
  // Something of the stream's, or its end, waits to be written.
  void flush_stream();

  TimePoint deadline() const { return deadline_; }
  void on_deadline();
  void begin_drain();
  void cut_tunnel(const std::string& address);  // empty: any
  void close();

 private:
  enum class Phase : std::uint8_t {
    head,       // reads a head, or waits for one
    body,       // reads a body
    sink,       // waits until the sink has taken a piece
    handling,   // waits for the answer
    writing,    // writes the answer
    streaming,  // writes what the stream brings
    parked,     // waits for a place elsewhere that takes it
    tunnel,     // what comes is passed on elsewhere
    lingering,  // everything is written; lets the peer read it
    closed,
  };
  // What follows once everything is written.
  enum class Next : std::uint8_t { body, finish, file_piece, stream };
  struct FileRead {
    std::shared_ptr<Fd> fd;
    std::int64_t offset = 0;
    std::int64_t left = 0;
  };

  // Reading (connection.cc). A head stays in input_ until it is known that it is served here.
  void pump();
  void step_head();
  void on_head();
  void look_elsewhere();
  void begin_tunnel(const Elsewhere& place);
  void look_again();
  void serve_here();
  void step_body();
  void begin_body();
  void give_piece();
  void dispatch();
  void read_more();
  void on_read(const boost::system::error_code& error, std::size_t size);
  void hung_up();
  void cut_short();
  void refuse(const Error& error);

  // Writing (connection_write.cc).
  void respond(Response response);
  std::string head_of(const Response& response, std::optional<std::uint64_t> length, bool chunked);
  void open_file(Response response);
  void begin_file(std::shared_ptr<Fd> fd, std::string head, const FileBody& file);
  void read_file_piece();
  void on_file_piece(std::string piece);
  void begin_stream(Response response);
  void end_stream();
  void send(std::string head, std::string body, Next next);
  void write_some();
  void after_write();
  void finish();
  void linger();

  void set_deadline(TimePoint deadline);
  void set_deadline(Millis from_now);
  void no_deadline() { deadline_ = TimePoint::max(); }
  const ServerOptions& options() const { return loop_.state().options; }

  Loop& loop_;
  asio::ip::tcp::socket socket_;
  const std::shared_ptr<Peer> peer_;  // shared with replies and streams, which may live longer
  std::string remote_;
  Phase phase_ = Phase::head;
  TimePoint deadline_ = TimePoint::max();

  Input input_;
  RequestReader reader_;
  bool reading_ = false;
  bool pumping_ = false;
  bool pump_again_ = false;
  bool look_due_ = false;        // the end of the read under way calls look_elsewhere()
  bool head_clock_due_ = false;  // the next byte begins a head
  bool peer_done_ = false;       // the peer has sent all that it will send

  std::uint64_t turn_ = 0;     // counts requests
  std::size_t head_size_ = 0;  // of this one's head, which input_ holds until it is served here
  bool keep_alive_ = true;
  bool body_unread_ = false;
  std::string request_id_;
  TimePoint body_begun_;
  TimePoint piece_given_;
  std::uint64_t body_bytes_ = 0;
  std::shared_ptr<BodySink> sink_;

  Next next_ = Next::finish;
  std::string out_head_;
  std::string out_body_;
  std::size_t sent_ = 0;
  bool write_busy_ = false;
  FileRead file_;
  std::shared_ptr<OpenStream> stream_;
  std::shared_ptr<Tunnel> tunnel_;
  std::optional<asio::steady_timer> look_again_;
  bool stream_last_ = false;  // what is being written is the stream's end
  bool flushing_ = false;
  bool flush_again_ = false;
};

}  // namespace mc::http
