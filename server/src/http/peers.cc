#include "http/peers.h"

#include <algorithm>
#include <utility>

namespace mc::http {
namespace {
const Error kShuttingDown{Code::shutting_down, "the server is stopping", {}};

Error waited_too_long(const std::string& address) {
  return {Code::overloaded, "calls wait too long for " + address, {}};
}
}  // namespace

Peers::Peers(PeersOptions options) : options_(options) {
  housekeeper_ = std::thread([this] { keep_house(); });
}

Peers::~Peers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [address, line] : lines_) {
      refuse_all(line, kShuttingDown);
      line.changed.notify_all();
    }
  }
  stop_.request_stop();
  house_.notify_one();
  housekeeper_.join();
}

void Peers::send(Call call, Done done) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return refuse(std::move(done), kShuttingDown);
  const TimePoint now = std::chrono::steady_clock::now();
  Line& line = lines_[call.address];
  if (now < line.shunned_until) return refuse(std::move(done), {Code::unreachable, line.why, {}});
  if (line.queue.size() >= options_.queue_max)
    return refuse(std::move(done),
                  {Code::overloaded, "too many calls wait for " + call.address, {}});
  const TimePoint deadline = now + call.timeout;
  const TimePoint send_by =
      call.timeout > options_.left_min ? deadline - options_.left_min : deadline;
  line.queue.push_back({std::move(call), std::move(done), deadline, send_by});
  // Those that are idle have one of the calls before this each, if they have not woken yet.
  if (static_cast<std::size_t>(line.idle) < line.queue.size() &&
      line.threads < options_.threads_max) {
    ++line.threads;
    std::thread thread([this, &line] { live(line); });
    threads_.emplace(thread.get_id(), std::move(thread));
  }
  line.changed.notify_one();
  if (send_by < look_at_) {
    look_at_ = send_by;
    house_.notify_one();
  }
}

int Peers::threads() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(threads_.size());
}

// Of a thread that carries out calls.
void Peers::live(Line& line) {
  Client client;
  std::unique_lock lock(mutex_);
  for (;;) {
    ++line.idle;
    line.changed.wait_for(lock, options_.idle_time,
                          [&] { return stopping_ || !line.queue.empty(); });
    --line.idle;
    if (line.queue.empty()) break;
    Waiting next = std::move(line.queue.front());
    line.queue.pop_front();
    if (std::chrono::steady_clock::now() >= next.send_by) {
      refuse(std::move(next.done), waited_too_long(next.call.address));
      continue;
    }
    lock.unlock();
    carry_out(line, client, std::move(next));
    lock.lock();
  }
  --line.threads;
  ended_.push_back(std::this_thread::get_id());
  house_.notify_one();
}

void Peers::carry_out(Line& line, Client& client, Waiting next) {
  Result<ClientResponse> answer = perform(client, next);
  if (!answer.ok()) {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      answer = kShuttingDown;
    } else if (!client.connected()) {
      line.shunned_until = std::chrono::steady_clock::now() + options_.shun_time;
      line.why = answer.error().message;
      refuse_all(line, answer.error());
    }
  }
  next.done(std::move(answer));
}

Result<ClientResponse> Peers::perform(Client& client, const Waiting& next) const {
  const Call& call = next.call;
  const auto left = std::chrono::ceil<Millis>(next.deadline - std::chrono::steady_clock::now());
  return client.send({.method = call.method,
                      .url = "http://" + call.address + call.target,
                      .headers = call.headers,
                      .body = call.body,
                      .timeout = std::max(left, Millis(1)),  // 0 would be none
                      .connect_timeout = options_.connect_timeout,
                      .stop = stop_.get_token(),
                      .no_proxy = true});
}

// Requires, as those that follow: mutex_ is held.
void Peers::refuse(Done done, Error error) {
  refused_.push_back({std::move(done), std::move(error)});
  house_.notify_one();
}

void Peers::refuse_all(Line& line, const Error& error) {
  for (Waiting& waiting : line.queue) refuse(std::move(waiting.done), error);
  line.queue.clear();
}

// Those that have waited too long behind others; and when to look again.
void Peers::refuse_late(TimePoint now) {
  look_at_ = TimePoint::max();
  for (auto& [address, line] : lines_) {
    std::erase_if(line.queue, [&, this](Waiting& waiting) {
      if (waiting.send_by > now) {
        look_at_ = std::min(look_at_, waiting.send_by);
        return false;
      }
      refuse(std::move(waiting.done), waited_too_long(waiting.call.address));
      return true;
    });
  }
}

// Joins the threads that have ended, and forgets the addresses that nobody asks for any more.
void Peers::bury() {
  for (const std::thread::id id : std::exchange(ended_, {})) threads_.extract(id).mapped().join();
  std::erase_if(lines_, [](const auto& line) { return line.second.threads == 0; });
}

void Peers::keep_house() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const TimePoint now = std::chrono::steady_clock::now();
    if (now >= look_at_) refuse_late(now);
    bury();
    if (!refused_.empty()) {
      auto refused = std::exchange(refused_, {});
      lock.unlock();
      for (Refused& each : refused) each.done(std::move(each.error));
      refused.clear();
      lock.lock();
    } else if (stopping_ && threads_.empty()) {
      return;
    } else {
      constexpr std::chrono::hours kLongest{1};  // the end of time is too much for some clocks
      house_.wait_until(lock, std::min(look_at_, now + kLongest));
    }
  }
}

}  // namespace mc::http
