#include "bench/bare_server.h"

// tidy: allow third-party: the floor under http is Beast itself
#include <boost/asio.hpp>
// tidy: allow third-party: as above
#include <boost/beast.hpp>
#include <list>
#include <thread>

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;

namespace mc::bench {
namespace {
constexpr int kThreads = 2;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  explicit Exchange(tcp::socket socket) : socket_(std::move(socket)) {}
  void read() {
    request_ = {};
    beast::http::async_read(socket_, buffer_, request_,
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                              if (!error) self->write();
                            });
  }

 private:
  void write() {
    response_ = {beast::http::status::ok, 11};
    response_.set(beast::http::field::content_type, "application/json");
    response_.body() = "{\"status\":\"ok\"}";
    response_.keep_alive(request_.keep_alive());
    response_.prepare_payload();
    beast::http::async_write(socket_, response_,
                             [self = shared_from_this()](beast::error_code error, std::size_t) {
                               if (!error && self->response_.keep_alive()) self->read();
                             });
  }

  tcp::socket socket_;
  beast::flat_buffer buffer_;
  beast::http::request<beast::http::string_body> request_;
  beast::http::response<beast::http::string_body> response_;
};

// One thread with its own acceptor; the kernel spreads connections over them.
class Lane {
 public:
  explicit Lane(std::uint16_t port) {
    const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(ReusePort(true));
    acceptor_.bind(endpoint);
    acceptor_.listen();
    accept();
    thread_ = std::jthread([this] { context_.run(); });
  }
  ~Lane() { context_.stop(); }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  void accept() {
    acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (error) return;
      beast::error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      std::make_shared<Exchange>(std::move(socket))->read();
      accept();
    });
  }

  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  std::jthread thread_;
};
}  // namespace

class BareServer::Impl {
 public:
  Impl() {
    for (int i = 0; i < kThreads; ++i) lanes_.emplace_back(lanes_.empty() ? 0 : port());
  }
  std::uint16_t port() const { return lanes_.front().port(); }

 private:
  std::list<Lane> lanes_;
};

BareServer::BareServer() : impl_(std::make_unique<Impl>()) {}
BareServer::~BareServer() = default;
int BareServer::port() const { return impl_->port(); }

}  // namespace mc::bench
