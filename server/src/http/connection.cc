#include "http/connection.h"

#include <algorithm>
#include <utility>

#include "http/open_stream.h"
#include "http/pass_on.h"
#include "http/problem.h"
#include "http/response_head.h"
#include "http/tunnel.h"

namespace mc::http {
namespace {
constexpr std::size_t kInputMax = 64 << 10;
constexpr std::size_t kSinkPiece = 64 << 10;

// Calls `act` on the connection, here and now when this is its thread.
template <class Act>
void reach(const Peer& peer, Act act) {
  if (const auto connection = peer.mailbox->here(peer.id)) return act(*connection);
  peer.mailbox->post(peer.id, std::move(act));
}
}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, Loop& loop, std::uint64_t id)
    : loop_(loop),
      socket_(std::move(socket)),
      peer_(std::make_shared<Peer>()),
      input_(std::max<std::size_t>(kInputMax, loop.state().options.header_bytes_max + (4u << 10))),
      reader_(loop.state().options.header_bytes_max) {
  peer_->mailbox = loop.mailbox();
  peer_->id = id;
}

void Connection::start() {
  boost::system::error_code error;
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  socket_.non_blocking(true, error);
  const auto remote = socket_.remote_endpoint(error);
  if (error || loop_.state().draining) return close();
  remote_ = remote.address().to_string();
  set_deadline(options().header_time);
  read_more();
}

// Steps never call each other but through here, so that a thousand pipelined requests do not grow
// the stack.
void Connection::pump() {
  if (pumping_) {
    pump_again_ = true;
    return;
  }
  const auto self = shared_from_this();
  pumping_ = true;
  do {
    pump_again_ = false;
    if (phase_ == Phase::head) {
      step_head();
    } else if (phase_ == Phase::body) {
      step_body();
    }
  } while (pump_again_);
  pumping_ = false;
}

void Connection::step_head() {
  if (input_.empty()) return read_more();
  head_size_ = reader_.feed(input_.data());
  if (reader_.state() == RequestReader::State::head) return read_more();
  if (reader_.state() == RequestReader::State::failed) return refuse(reader_.error());
  on_head();
  options().tunnels ? look_elsewhere() : serve_here();
}

void Connection::on_head() {
  ++turn_;
  Request& request = reader_.request();
  keep_alive_ = reader_.framing().keep_alive;
  const std::string* given = request.header("x-request-id");
  request_id_ = given != nullptr && is_request_id(*given) ? *given : loop_.make_request_id();
  request.request_id = request_id_;
  request.remote = remote_;
  request.gone = std::shared_ptr<const std::atomic<bool>>(peer_, &peer_->gone);
}

// Requires: a head was read, and nothing of the request was sent anywhere.
void Connection::look_elsewhere() {
  const auto place = loop_.state().handler.elsewhere(reader_.request());
  if (!place) return serve_here();
  if (phase_ != Phase::parked) {
    phase_ = Phase::parked;
    set_deadline(options().tunnel_time);
  }
  place->address.empty() ? look_again() : begin_tunnel(*place);
}

void Connection::look_again() {
  constexpr Millis kPause{100};
  if (!look_again_) look_again_.emplace(loop_.context());
  look_again_->expires_after(kPause);
  look_again_->async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->phase_ == Phase::parked) self->look_elsewhere();
  });
}

void Connection::begin_tunnel(const Elsewhere& place) {
  if (reading_) {
    // From while the request before was handled. It would take bytes that are the tunnel's, and may
    // have taken some already: they are known once it has ended.
    look_due_ = true;
    boost::system::error_code ignored;
    socket_.cancel(ignored);
    return;
  }
  std::string first = pass_on(input_.data().substr(0, head_size_), place.headers);
  first.append(input_.data().substr(head_size_));
  const auto ended = [this] {
    if (phase_ == Phase::tunnel) return close();
    tunnel_ = nullptr;
    look_again();
  };
  const auto connected = [this] {
    phase_ = Phase::tunnel;
    no_deadline();  // the other server keeps the time
    input_.consume(input_.data().size());
    reader_.reset();
  };
  tunnel_ =
      std::make_shared<Tunnel>(shared_from_this(), socket_, loop_.context(), connected, ended);
  const auto tunnel = tunnel_;  // it may end at once
  tunnel->start(place.address, std::move(first));
}

void Connection::cut_tunnel(const std::string& address) {
  if (!tunnel_ || (!address.empty() && address != tunnel_->address())) return;
  if (phase_ == Phase::tunnel) return close();
  // It was on its way to where it is no longer wanted.
  tunnel_->close();
  tunnel_ = nullptr;
  look_again();
}

void Connection::serve_here() {
  phase_ = Phase::head;
  input_.consume(head_size_);
  Request& request = reader_.request();
  Admission admission = loop_.state().handler.admit(request);
  if (admission.refusal) {
    // What of the body is still to come is not waited for.
    body_unread_ = reader_.state() != RequestReader::State::done;
    keep_alive_ = keep_alive_ && !body_unread_;
    return respond(std::move(*admission.refusal));
  }
  sink_ = std::move(admission.sink);
  reader_.limit_body(admission.body_max);
  if (reader_.state() == RequestReader::State::failed) return refuse(reader_.error());
  if (reader_.state() == RequestReader::State::done) return dispatch();
  begin_body();
}

void Connection::begin_body() {
  body_begun_ = std::chrono::steady_clock::now();
  body_bytes_ = 0;
  set_deadline(options().body_time);
  if (reader_.framing().expects_continue && input_.empty()) {
    phase_ = Phase::writing;
    return send("HTTP/1.1 100 Continue\r\n\r\n", {}, Next::body);
  }
  phase_ = Phase::body;
  pump();
}

void Connection::step_body() {
  if (input_.empty()) return read_more();
  input_.consume(reader_.feed(input_.data()));
  if (reader_.state() == RequestReader::State::failed) return refuse(reader_.error());
  const bool done = reader_.state() == RequestReader::State::done;
  if (sink_ && (done || reader_.request().body.size() >= kSinkPiece)) return give_piece();
  done ? dispatch() : read_more();
}

void Connection::give_piece() {
  std::string piece = std::exchange(reader_.request().body, {});
  if (piece.empty()) return dispatch();
  phase_ = Phase::sink;
  body_bytes_ += piece.size();
  piece_given_ = std::chrono::steady_clock::now();
  set_deadline(options().handle_time);
  const auto sink = sink_;
  sink->write(std::move(piece), [peer = peer_, turn = turn_](std::optional<Response> refusal) {
    reach(*peer, [turn, refusal = std::move(refusal)](Connection& connection) mutable {
      connection.continue_body(turn, std::move(refusal));
    });
  });
}

void Connection::continue_body(std::uint64_t turn, std::optional<Response> refusal) {
  if (turn != turn_ || phase_ != Phase::sink) return;
  const bool done = reader_.state() == RequestReader::State::done;
  if (refusal) {
    body_unread_ = !done;
    keep_alive_ = keep_alive_ && done;
    return respond(std::move(*refusal));
  }
  if (done) return dispatch();
  // The time that the sink took is not the client's, and a steady flow earns more of it.
  body_begun_ += std::chrono::steady_clock::now() - piece_given_;
  set_deadline(
      body_begun_ + options().body_time +
      std::chrono::seconds(body_bytes_ / std::max<std::uint64_t>(1, options().sink_rate_min)));
  phase_ = Phase::body;
  pump();
}

void Connection::dispatch() {
  Request& request = reader_.request();
  request.sink = std::move(sink_);
  sink_ = nullptr;
  phase_ = Phase::handling;
  set_deadline(options().handle_time);
  const std::uint64_t turn = turn_;
  loop_.state().handler.handle(std::move(request), [peer = peer_, turn](Response response) {
    reach(*peer, [turn, response = std::move(response)](Connection& connection) mutable {
      connection.answer(turn, std::move(response));
    });
  });
  // Not answered yet: meanwhile the client may hang up.
  if (phase_ == Phase::handling && turn == turn_) read_more();
}

void Connection::answer(std::uint64_t turn, Response response) {
  if (turn != turn_ || phase_ != Phase::handling) return;
  respond(std::move(response));
}

void Connection::refuse(const Error& error) {
  if (request_id_.empty()) request_id_ = loop_.make_request_id();
  keep_alive_ = false;
  body_unread_ = true;
  respond(problem(error, request_id_));
}

void Connection::read_more() {
  if (reading_ || phase_ == Phase::closed) return;
  if (peer_done_) {
    if (phase_ == Phase::head || phase_ == Phase::body) cut_short();
    return;
  }
  if (!input_.make_room()) return;
  if (phase_ == Phase::body) input_.widen();
  reading_ = true;
  socket_.async_read_some(
      asio::buffer(input_.room(), input_.room_size()),
      [self = shared_from_this()](const boost::system::error_code& error, std::size_t size) {
        self->on_read(error, size);
      });
}

void Connection::on_read(const boost::system::error_code& error, std::size_t size) {
  reading_ = false;
  if (phase_ == Phase::closed) return;
  if (std::exchange(look_due_, false)) {
    if (!error) input_.commit(size);
    // What else may be wrong with the client, the tunnel will see.
    return phase_ == Phase::parked ? look_elsewhere() : read_more();
  }
  if (error == asio::error::eof) return hung_up();
  if (error) return close();
  if (phase_ == Phase::lingering) return read_more();  // thrown away
  const bool was_idle = input_.empty();
  input_.commit(size);
  switch (phase_) {
    case Phase::head:
      if (was_idle && head_clock_due_) set_deadline(options().header_time);
      head_clock_due_ = false;
      return pump();
    case Phase::body: return pump();
    case Phase::sink:
    case Phase::handling:
    case Phase::writing:
    case Phase::streaming: return read_more();
    case Phase::parked:
    case Phase::tunnel:
    case Phase::lingering:
    case Phase::closed: return;
  }
}

// The client has sent its last byte. It may still be reading: an answer under way is written.
void Connection::hung_up() {
  peer_done_ = true;
  peer_->gone.store(true, std::memory_order_relaxed);
  if (phase_ == Phase::head || phase_ == Phase::body) return cut_short();
  if (phase_ != Phase::handling && phase_ != Phase::writing && phase_ != Phase::parked) close();
}

// No more will come. Half a request is told so; between two requests that is how clients leave.
void Connection::cut_short() {
  if (phase_ == Phase::head && input_.empty()) return close();
  refuse({Code::malformed_request, "the request ended before its last byte", {}});
}

void Connection::on_deadline() {
  switch (phase_) {
    case Phase::head:
      if (input_.empty()) return close();
      return refuse({Code::request_timeout, "the head took too long", {}});
    case Phase::body: return refuse({Code::request_timeout, "the body took too long", {}});
    case Phase::sink:
    case Phase::handling:
      ++turn_;  // what comes now comes too late
      return refuse({Code::overloaded, "there was no answer in time", {}});
    case Phase::parked:
      if (tunnel_) tunnel_->close();
      tunnel_ = nullptr;
      phase_ = Phase::head;
      return refuse({Code::overloaded, "no replica that leads can be reached: try again soon", {}});
    case Phase::tunnel:
    case Phase::writing:
    case Phase::streaming:
    case Phase::lingering: return close();
    case Phase::closed: return;
  }
}

void Connection::begin_drain() {
  if (phase_ == Phase::head && input_.empty()) return close();
  if (phase_ == Phase::streaming && stream_) stream_->close();
}

void Connection::set_deadline(TimePoint deadline) {
  deadline_ = deadline;
  loop_.note_deadline(deadline);
}

void Connection::set_deadline(Millis from_now) {
  set_deadline(std::chrono::steady_clock::now() + from_now);
}

void Connection::close() {
  if (phase_ == Phase::closed) return;
  const auto self = shared_from_this();
  phase_ = Phase::closed;
  no_deadline();
  peer_->gone.store(true, std::memory_order_relaxed);
  sink_ = nullptr;
  file_ = {};
  if (const auto tunnel = std::exchange(tunnel_, nullptr)) tunnel->close();
  if (look_again_) look_again_->cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (const auto stream = std::exchange(stream_, nullptr)) stream->end();
  reader_.reset();
  loop_.forget(peer_->id);
}

}  // namespace mc::http
