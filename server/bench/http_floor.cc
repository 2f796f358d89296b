// tidy: allow dead-file: built by the benchmarks only
// The floor that benchmark B10 compares with: a bare Beast server that answers every request with
// 200 and a short body, on two threads with an io_context each. No limits, no checks, no deadlines.
//   http_floor PORT
// tidy: allow third-party: the floor under http is Beast itself
#include <boost/asio.hpp>
// tidy: allow third-party: as above
#include <boost/beast.hpp>
#include <charconv>
#include <iostream>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;

namespace {
constexpr int kThreads = 2;

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

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, tcp::socket socket) {
    if (error) return;
    beast::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    std::make_shared<Exchange>(std::move(socket))->read();
    accept(acceptor);
  });
}

void serve(std::uint16_t port) {
  using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
  asio::io_context context(1);
  const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
  tcp::acceptor acceptor(context, endpoint.protocol());
  acceptor.set_option(asio::socket_base::reuse_address(true));
  acceptor.set_option(reuse_port(true));
  acceptor.bind(endpoint);
  acceptor.listen();
  accept(acceptor);
  context.run();
}
}  // namespace

int main(int argc, char** argv) {
  const std::string_view text = argc == 2 ? argv[1] : "";
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data(), end, port).ptr != end || port == 0) {
    std::cerr << "usage: http_floor PORT\n";
    return 2;
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(serve, port);
  for (std::thread& thread : threads) thread.join();
}
