// A few threads for what must not run on a connection's thread or the conductor's: parsing
// definitions, reading the store, touching files.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mc::api {

class Pool {
 public:
  static constexpr std::size_t kQueueMax = 1024;  // a second's worth of slow answers; then 503

  explicit Pool(int threads);
  ~Pool();  // stop()
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // False: the queue is full, or stop() was called; `work` is dropped. Any thread.
  bool run(std::function<void()> work);
  // Finishes what is queued. Requires: not called from a pool thread.
  void stop();

 private:
  void serve();
  std::mutex mutex_;  // guards queue_, stopping_
  std::condition_variable filled_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mc::api
