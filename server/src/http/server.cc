#include "http/server.h"

#include <fcntl.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>

#include "http/address.h"
#include "http/loop.h"
#include "http/problem.h"
#include "http/response_head.h"

namespace mc::http {
namespace {
using tcp = asio::ip::tcp;
using boost::system::error_code;
constexpr int kBacklog = 1024;
constexpr int kThreadsMax = 64;
constexpr Millis kAcceptPause{50};  // after the machine ran out of descriptors

// A process that outlives this one (the worker's guard) must not hold the port against the next
// server, nor a connection open for a client that waits. Asio does not see to that.
void keep_from_children(int descriptor) { ::fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, Handler& handler) : state_{std::move(options), handler} {}
  ~Impl() { stop(); }

  Status start() {
    Result<tcp::endpoint> address = read_address(state_.options.listen);
    if (!address) return address.error();
    if (state_.options.threads < 1 || state_.options.threads > kThreadsMax)
      return Error{Code::invalid_setting, "the server's threads must be 1 to 64", {}};
    for (int i = 0; i < state_.options.threads; ++i)
      loops_.push_back(std::make_unique<Loop>(state_));
    acceptor_.emplace(loops_[0]->context());
    pause_.emplace(loops_[0]->context());
    if (const Status bound = bind(*address); !bound) return bound;
    accept();
    for (const auto& loop : loops_) threads_.emplace_back([own = loop.get()] { own->run(); });
    return {};
  }

  void stop_accepting() {
    if (threads_.empty()) return;
    asio::post(loops_[0]->context(), [this] { close_acceptor(); });
  }

  bool drain(Millis limit) {
    state_.draining = true;
    stop_accepting();
    for (const auto& loop : loops_)
      asio::post(loop->context(), [own = loop.get()] { own->begin_drain(); });
    std::unique_lock lock(state_.mutex);
    return state_.connection_closed.wait_for(lock, limit,
                                             [this] { return state_.connections == 0; });
  }

  void stop() {
    stop_accepting();
    if (!threads_.empty()) {
      for (const auto& loop : loops_)
        asio::post(loop->context(), [own = loop.get()] { own->stop(); });
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    state_.files.join();
  }

  void cut_tunnels(const std::string& address) {
    for (const auto& loop : loops_)
      asio::post(loop->context(), [own = loop.get(), address] { own->cut_tunnels(address); });
  }

  int port() const { return bound_.port(); }
  std::string address() const { return show_address(bound_); }
  int connections() const { return state_.connections; }

 private:
  // One listening socket, without SO_REUSEPORT: a second server on the same port must fail, not get
  // half of the connections.
  Status bind(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor_->open(endpoint.protocol(), error);
    if (!error) keep_from_children(acceptor_->native_handle());
    if (!error) acceptor_->set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_->bind(endpoint, error);
    if (!error) acceptor_->listen(kBacklog, error);
    if (!error) bound_ = acceptor_->local_endpoint(error);
    if (!error) return {};
    return Error{Code::unreachable,
                 "cannot listen on " + show_address(endpoint) + ": " + error.message() +
                     "; choose another address with --listen HOST:PORT",
                 {}};
  }

  void close_acceptor() {
    error_code ignored;
    acceptor_->close(ignored);
    pause_->cancel();
  }

  // Connections go round the loops, so that each gets its share.
  void accept() {
    Loop& loop = *loops_[next_loop_++ % loops_.size()];
    acceptor_->async_accept(loop.context(), [this, &loop](error_code error, tcp::socket socket) {
      if (!acceptor_->is_open()) return;
      if (error) return accept_later();
      keep_from_children(socket.native_handle());
      if (++state_.connections > state_.options.connections_max) {
        turn_away(socket);
      } else {
        asio::post(loop.context(),
                   [&loop, taken = std::move(socket)]() mutable { loop.adopt(std::move(taken)); });
      }
      accept();
    });
  }

  void accept_later() {
    pause_->expires_after(kAcceptPause);
    pause_->async_wait([this](error_code error) {
      if (!error && acceptor_->is_open()) accept();
    });
  }

  void turn_away(tcp::socket& socket) {
    const std::string id = loops_[0]->make_request_id();
    const Response response = problem({Code::overloaded, "too many connections are open", {}}, id);
    const std::string bytes = encode_head(response, {.request_id = id,
                                                     .date = loops_[0]->date(),
                                                     .keep_alive = false,
                                                     .content_length = response.body.size()}) +
                              response.body;
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(bytes), ignored);
    socket.close(ignored);
    state_.note_closed();
  }

  ServerState state_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::optional<tcp::acceptor> acceptor_;    // thread: that of the first loop
  std::optional<asio::steady_timer> pause_;  // the same
  std::size_t next_loop_ = 0;
  tcp::endpoint bound_;
  std::vector<std::thread> threads_;
};

Status check_address(const std::string& address) {
  const auto read = read_address(address);
  return read.ok() ? Status() : Status(read.error());
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler& handler) {
  auto impl = std::make_unique<Impl>(std::move(options), handler);
  if (const Status started = impl->start(); !started) return started.error();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}
Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
int Server::port() const { return impl_->port(); }
std::string Server::address() const { return impl_->address(); }
int Server::connections() const { return impl_->connections(); }
void Server::cut_tunnels(const std::string& address) { impl_->cut_tunnels(address); }
void Server::stop_accepting() { impl_->stop_accepting(); }
bool Server::drain(Millis limit) { return impl_->drain(limit); }
void Server::stop() { impl_->stop(); }

}  // namespace mc::http
