#include "http/tunnel.h"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/write.hpp>
#include <utility>

#include "http/address.h"

namespace mc::http {
using boost::system::error_code;

Tunnel::Tunnel(std::shared_ptr<void> owner, asio::ip::tcp::socket& client,
               asio::io_context& context, std::function<void()> connected,
               std::function<void()> ended)
    : owner_(std::move(owner)),
      server_(context),
      timer_(context),
      taken_(std::move(connected)),
      ended_(std::move(ended)),
      up_{.from = client, .to = server_, .bytes = {}},
      down_{.from = server_, .to = client, .bytes = {}} {}

void Tunnel::start(const std::string& to, std::string first) {
  address_ = to;
  const auto address = read_address(to);
  if (!address.ok()) return end();
  first_ = std::move(first);
  error_code error;
  server_.open(address->protocol(), error);
  if (error) return end();
  ::fcntl(server_.native_handle(), F_SETFD, FD_CLOEXEC);
  end_after(kConnectTime);
  server_.async_connect(*address, [self = shared_from_this()](const error_code& failed) {
    if (failed || self->closed_) return self->end();
    error_code ignored;
    self->server_.set_option(asio::ip::tcp::no_delay(true), ignored);
    self->server_.set_option(asio::socket_base::keep_alive(true), ignored);
    self->timer_.cancel();
    self->taken_();
    self->begin(self->first_);
  });
}

void Tunnel::begin(const std::string& first) {
  carry(down_);
  asio::async_write(server_, asio::buffer(first),
                    [self = shared_from_this()](const error_code& failed, std::size_t) {
                      self->first_ = {};
                      self->carried(self->up_, static_cast<bool>(failed));
                    });
}

void Tunnel::carry(Way& way) {
  way.from.async_read_some(
      asio::buffer(way.bytes),
      [self = shared_from_this(), &way](const error_code& failed, std::size_t size) {
        if (self->closed_) return;
        // Who closes with something unread resets the connection: a write finds out, or a read.
        const bool was_reset = failed == asio::error::connection_reset && &way == &self->down_;
        if (failed == asio::error::eof || was_reset) return self->finish(way);
        if (failed) return self->end();
        if (self->down_.over) self->linger();
        if (way.deaf) return self->carry(way);
        asio::async_write(way.to, asio::buffer(way.bytes.data(), size),
                          [self, &way](const error_code& broken, std::size_t) {
                            self->carried(way, static_cast<bool>(broken));
                          });
      });
}

void Tunnel::carried(Way& way, bool failed) {
  if (closed_ || (failed && &way == &down_)) return end();
  way.deaf = failed;
  carry(way);
}

// One side has sent its last byte; the other may still be speaking.
void Tunnel::finish(Way& way) {
  way.over = true;
  if (up_.over && down_.over) return end();
  error_code ignored;
  way.to.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  if (!down_.over) return;
  linger_until_ = std::chrono::steady_clock::now() + kLingerMax;
  linger();
}

// Closed now, the client's socket would throw away the answer if more of the request came.
void Tunnel::linger() {
  const auto left = linger_until_ - std::chrono::steady_clock::now();
  end_after(std::min(kLingerTime, std::chrono::duration_cast<Millis>(left)));
}

void Tunnel::end_after(Millis time) {
  timer_.expires_after(time);
  timer_.async_wait([self = shared_from_this()](const error_code& cancelled) {
    if (!cancelled && !self->closed_) self->end();
  });
}

void Tunnel::end() {
  closed_ = true;
  timer_.cancel();
  error_code ignored;
  server_.close(ignored);
  if (const auto ended = std::exchange(ended_, nullptr)) ended();
}

void Tunnel::close() {
  ended_ = nullptr;
  end();
}

}  // namespace mc::http
