#include "http/server.h"

#include <thread>

#include "http/session.h"

namespace mc::http {
namespace {
using tcp = asio::ip::tcp;
constexpr int kBacklog = 1024;

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

Result<Address> read_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const Error wrong{Code::invalid_setting, "--listen wants HOST:PORT, not \"" + text + "\"", {}};
  if (colon == std::string::npos) return wrong;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  int port = 0;
  for (const char c : text.substr(colon + 1)) {
    if (c < '0' || c > '9' || port > 65535) return wrong;
    port = port * 10 + (c - '0');
  }
  beast::error_code error;
  (void)asio::ip::make_address(host, error);
  if (error || port > 65535 || colon + 1 == text.size()) return wrong;
  return Address{host, static_cast<std::uint16_t>(port)};
}
}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, Handler& handler)
      : options_(std::move(options)), world_{options_, handler} {}
  ~Impl() { stop(); }

  Status start() {
    Result<Address> address = read_address(options_.listen);
    if (!address) return address.error();
    host_ = address->host;
    for (int i = 0; i < options_.threads; ++i) {
      contexts_.push_back(std::make_unique<asio::io_context>(1));
      acceptors_.push_back(std::make_unique<tcp::acceptor>(*contexts_.back()));
      if (const Status bound = bind(*acceptors_.back(), *address, i == 0); !bound) return bound;
      // The first one may have been given a free port: the others share it.
      address->port = static_cast<std::uint16_t>(port_);
      accept(i);
    }
    for (auto& context : contexts_) {
      threads_.emplace_back([&context] {
        const auto work = asio::make_work_guard(*context);
        context->run();
      });
    }
    return {};
  }

  void stop_accepting() {
    for (std::size_t i = 0; i < acceptors_.size(); ++i) {
      asio::post(*contexts_[i], [acceptor = acceptors_[i].get()] {
        beast::error_code ignored;
        acceptor->close(ignored);
      });
    }
  }
  void drain(Millis limit) {
    world_.draining = true;
    stop_accepting();
    const auto end = std::chrono::steady_clock::now() + limit;
    std::unique_lock lock(drain_mutex_);
    while (world_.handling > 0 && std::chrono::steady_clock::now() < end) {
      drained_.wait_for(lock, std::chrono::milliseconds(10));
    }
  }
  void stop() {
    for (auto& context : contexts_) context->stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    acceptors_.clear();
    contexts_.clear();
  }
  int port() const { return port_; }
  std::string address() const {
    const bool v6 = host_.find(':') != std::string::npos;
    return (v6 ? "[" + host_ + "]" : host_) + ":" + std::to_string(port_);
  }

 private:
  Status bind(tcp::acceptor& acceptor, const Address& address, bool first) {
    beast::error_code error;
    const tcp::endpoint endpoint(asio::ip::make_address(address.host), address.port);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && first && address.port != 0) {
      // Without SO_REUSEPORT, so that another server on this port is noticed.
      tcp::acceptor probe(acceptor.get_executor());
      probe.open(endpoint.protocol(), error);
      if (!error) probe.set_option(asio::socket_base::reuse_address(true), error);
      if (!error) probe.bind(endpoint, error);
      if (!error) probe.listen(1, error);
    }
    using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
    if (!error) acceptor.set_option(reuse_port(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(kBacklog, error);
    if (error) {
      return Error{Code::unreachable,
                   "cannot listen on " + address.host + ":" + std::to_string(address.port) + ": " +
                       error.message() + "; choose another address with --listen HOST:PORT",
                   {}};
    }
    port_ = acceptor.local_endpoint().port();
    return {};
  }

  void accept(int index) {
    tcp::acceptor& acceptor = *acceptors_[static_cast<std::size_t>(index)];
    acceptor.async_accept([this, index, &acceptor](beast::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
      if (!error && world_.connections < options_.connections_max) {
        std::make_shared<Session>(std::move(socket), world_)->run();
      }
      accept(index);
    });
  }

  ServerOptions options_;
  SessionWorld world_;
  std::string host_;
  int port_ = 0;
  std::vector<std::unique_ptr<asio::io_context>> contexts_;
  std::vector<std::unique_ptr<tcp::acceptor>> acceptors_;
  std::vector<std::thread> threads_;
  std::mutex drain_mutex_;
  std::condition_variable drained_;
};

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler& handler) {
  auto impl = std::make_unique<Impl>(std::move(options), handler);
  if (const Status started = impl->start(); !started) return started.error();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}
Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
int Server::port() const { return impl_->port(); }
std::string Server::address() const { return impl_->address(); }
void Server::drain(Millis limit) { impl_->drain(limit); }
void Server::stop() { impl_->stop(); }
}  // namespace mc::http
