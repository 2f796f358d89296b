#include "http/loop.h"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>

#include "base/time.h"
#include "http/connection.h"
#include "http/response_head.h"

namespace mc::http {
namespace {
// How late a deadline may be noticed: half of the shortest, within reason.
std::chrono::milliseconds sweep_period(const ServerOptions& options) {
  const Millis shortest = std::min({options.header_time, options.body_time, options.idle_time,
                                    options.write_time, options.handle_time, options.linger_time});
  return std::clamp(shortest / 2, Millis(10), Millis(1000));
}
}  // namespace

void ServerState::note_closed() {
  {
    const std::lock_guard lock(mutex);
    --connections;
  }
  connection_closed.notify_all();
}

void Mailbox::post(std::uint64_t id, std::function<void(Connection&)> act) {
  const std::lock_guard lock(mutex_);
  if (loop_ == nullptr) return;
  asio::post(loop_->context(), [loop = loop_, id, act = std::move(act)] {
    if (const auto connection = loop->find(id)) act(*connection);
  });
}

std::shared_ptr<Connection> Mailbox::here(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  return loop_ != nullptr && loop_->on_own_thread() ? loop_->find(id) : nullptr;
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  loop_ = nullptr;
}

Loop::Loop(ServerState& state)
    : state_(state),
      work_(asio::make_work_guard(context_)),
      sweep_timer_(context_),
      sweep_period_(sweep_period(state.options)),
      mailbox_(std::make_shared<Mailbox>(*this)) {}

Loop::~Loop() { mailbox_->close(); }

void Loop::run() {
  thread_ = std::this_thread::get_id();
  context_.run();
}

void Loop::adopt(asio::ip::tcp::socket socket) {
  if (stopping_) return state_.note_closed();
  const std::uint64_t id = ++last_id_;
  auto connection = std::make_shared<Connection>(std::move(socket), *this, id);
  connections_.emplace(id, connection);
  connection->start();
}

void Loop::forget(std::uint64_t id) {
  if (connections_.erase(id) != 0) state_.note_closed();
}

std::shared_ptr<Connection> Loop::find(std::uint64_t id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second;
}

void Loop::begin_drain() {
  const auto open = connections_;  // connections leave the map while we look
  for (const auto& [id, connection] : open) connection->begin_drain();
}

void Loop::cut_tunnels(const std::string& address) {
  const auto open = connections_;
  for (const auto& [id, connection] : open) connection->cut_tunnel(address);
}

void Loop::stop() {
  stopping_ = true;
  mailbox_->close();
  const auto open = connections_;
  for (const auto& [id, connection] : open) connection->close();
  sweep_timer_.cancel();
  work_.reset();
}

std::string Loop::make_request_id() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id(16, '0');
  std::uint64_t bits = rng_.next();
  for (char& c : id) {
    c = kDigits[bits & 15];
    bits >>= 4;
  }
  return id;
}

const std::string& Loop::date() {
  if (const std::int64_t second = system_clock().now().ms / 1000; second != date_second_) {
    date_second_ = second;
    date_ = http_date(second);
  }
  return date_;
}

void Loop::sweep() {
  const TimePoint now = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<Connection>> late;
  for (const auto& [id, connection] : connections_) {
    if (connection->deadline() <= now) late.push_back(connection);
  }
  for (const auto& connection : late) connection->on_deadline();
  next_sweep_ = TimePoint::max();
  TimePoint first = TimePoint::max();
  for (const auto& [id, connection] : connections_) first = std::min(first, connection->deadline());
  note_deadline(first);
}

void Loop::note_deadline(TimePoint deadline) {
  if (stopping_ || deadline >= next_sweep_) return;
  // A deadline that comes within the period of the last one is noticed together with it.
  const TimePoint soonest = std::chrono::steady_clock::now() + sweep_period_;
  if (soonest < next_sweep_) sweep_at(std::max(deadline, soonest));
}

void Loop::sweep_at(TimePoint when) {
  next_sweep_ = when;
  sweep_timer_.expires_at(when);
  sweep_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) sweep();
  });
}

}  // namespace mc::http
