// Short calls from one server to others of its kind, none of which waits for another to be there:
// a few threads for each address, with connections that stay open, and a bounded queue before them.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "http/client.h"
#include "http/message.h"

namespace mc::http {

struct PeersOptions {
  int threads_max = 16;           // for each address: so many calls are under way at once
  std::size_t queue_max = 1'000;  // calls for each address that wait for a thread
  Millis idle_time{60'000};       // a thread without a call for so long ends
  // A call that had more time is not sent any more once it has so little left: what it asks for
  // might be done for nobody.
  Millis left_min{1'000};
  Millis connect_timeout{500};
  Millis shun_time{500};  // calls to an address that was not reached fail at once so long
};

// Threads: any. They are made when first needed.
class Peers {
 public:
  struct Call {
    std::string address;  // HOST:PORT; no proxy is taken
    std::string method, target;
    std::vector<Header> headers;
    std::string body;
    Millis timeout{5'000};  // from send() to the answer's last byte
  };
  // Called once, on a thread of the Peers, never by send() itself. May send further calls; must not
  // block, since other calls wait behind it. An HTTP error status is a response. Errors:
  // `unreachable`: nobody was there, or there was no answer in time: the call may have been carried
  // out (its connection is closed, by which the other side may know); `overloaded`: too many calls
  // wait for this address, or this one did for too long: nothing was sent; `shutting_down`.
  using Done = std::function<void(Result<ClientResponse>)>;

  explicit Peers(PeersOptions options = {});
  // Every call that is not answered yet gets `shutting_down`; then it waits for the last `done`.
  // Requires: not called on a thread of its own; nothing is sent any more but by a `done`.
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  void send(Call call, Done done);
  int threads() const;  // that carry out calls, of all addresses

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Waiting {
    Call call;
    Done done;
    TimePoint deadline;
    TimePoint send_by;  // else it is refused
  };
  // The way to one address.
  struct Line {
    std::deque<Waiting> queue;
    std::condition_variable changed;
    int threads = 0;
    int idle = 0;               // of them, those that wait for a call
    TimePoint shunned_until{};  // calls fail at once until then, with
    std::string why;
  };
  struct Refused {
    Done done;
    Error error;
  };
  void live(Line& line);
  void carry_out(Line& line, Client& client, Waiting next);
  Result<ClientResponse> perform(Client& client, const Waiting& next) const;
  void refuse(Done done, Error error);
  void refuse_all(Line& line, const Error& error);
  void refuse_late(TimePoint now);
  void bury();
  void keep_house();

  const PeersOptions options_;
  std::stop_source stop_;
  mutable std::mutex mutex_;  // guards what follows; not held while a Done is called
  bool stopping_ = false;
  std::map<std::string, Line> lines_;
  std::map<std::thread::id, std::thread> threads_;
  std::vector<std::thread::id> ended_;  // threads that only have to be joined
  std::vector<Refused> refused_;
  TimePoint look_at_ = TimePoint::max();  // when the housekeeper looks for calls that wait too long
  std::condition_variable house_;
  std::thread housekeeper_;  // refuses, times out what waits, joins threads
};

}  // namespace mc::http
