// One thread's share of a server: its io_context, its connections, and the clock that ends what
// takes too long. Connections belong to their loop; everybody else knows them by number.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/rng.h"
#include "http/server.h"

namespace mc::http {

namespace asio = boost::asio;
using TimePoint = std::chrono::steady_clock::time_point;

class Connection;
class Loop;

// What the loops of one server share.
struct ServerState {
  const ServerOptions options;
  Handler& handler;
  std::atomic<int> connections{0};
  std::atomic<bool> draining{false};
  asio::thread_pool files{2};  // reads files, so that loops never wait for a disk
  std::mutex mutex;            // for the condition alone
  std::condition_variable connection_closed;

  void note_closed();
};

// The way to a loop from other threads. Outlives the loop: what comes later is dropped. Any thread.
class Mailbox {
 public:
  explicit Mailbox(Loop& loop) : loop_(&loop) {}
  // Runs `act` on the loop's thread if connection `id` still exists then.
  void post(std::uint64_t id, std::function<void(Connection&)> act);
  // The connection itself when called on the loop's thread, else null: saves the round about.
  std::shared_ptr<Connection> here(std::uint64_t id);
  void close();

 private:
  std::mutex mutex_;
  Loop* loop_;  // guarded by mutex_; null once closed
};

// The far end of a connection, as replies and streams know it. Any thread.
struct Peer {
  std::shared_ptr<Mailbox> mailbox;
  std::uint64_t id = 0;
  std::atomic<bool> gone{false};
};

// Thread: its own, but for run, post and the constructor.
class Loop {
 public:
  explicit Loop(ServerState& state);
  ~Loop();
  void run();  // until stop() and the last handler
  bool on_own_thread() const { return std::this_thread::get_id() == thread_.load(); }
  asio::io_context& context() { return context_; }
  ServerState& state() { return state_; }

  void adopt(asio::ip::tcp::socket socket);
  void forget(std::uint64_t id);
  std::shared_ptr<Connection> find(std::uint64_t id);
  void begin_drain();
  void stop();
  void cut_tunnels(const std::string& address);
  // A connection has this deadline now; it is noticed at most a sweep period late.
  void note_deadline(TimePoint deadline);

  std::string make_request_id();
  const std::string& date();  // now, as HTTP writes it
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }

 private:
  void sweep();
  void sweep_at(TimePoint when);

  ServerState& state_;
  std::atomic<std::thread::id> thread_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::steady_timer sweep_timer_;
  std::chrono::milliseconds sweep_period_;
  std::shared_ptr<Mailbox> mailbox_;  // closed by stop()
  std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  std::uint64_t last_id_ = 0;
  TimePoint next_sweep_ = TimePoint::max();  // when sweep_timer_ expires; max: it does not
  bool stopping_ = false;
  Rng rng_{random_seed()};
  std::int64_t date_second_ = 0;
  std::string date_;
};

}  // namespace mc::http
