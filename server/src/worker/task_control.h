// The strings on a running task: the heartbeat thread pulls, the slot thread feels it.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>

#include "base/file.h"

namespace mc::worker {

// Threads: cancel and lose from any thread; the rest from the slot's.
class TaskControl {
 public:
  TaskControl() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // The server wants the task stopped by the ladder, `finally` and all.
  void cancel() {
    cancelled_.request_stop();
    wake();
  }
  // The attempt is someone else's now: kill everything, report nothing.
  void lose() {
    lost_.request_stop();
    wake();
    const std::scoped_lock lock(mutex_);
    if (on_lost_) on_lost_();
  }
  bool cancelled() const { return cancelled_.stop_requested(); }
  bool lost() const { return lost_.stop_requested(); }
  // For calls that end early.
  std::stop_token cancel_token() const { return cancelled_.get_token(); }
  std::stop_token lost_token() const { return lost_.get_token(); }

  // Readable after cancel or lose until heard() is called.
  int wake_fd() const { return wake_.get(); }
  void heard() const {
    std::uint64_t count = 0;
    if (::read(wake_.get(), &count, sizeof count) < 0) return;
  }
  // Called by lose() on its thread; null takes it away.
  void on_lost(std::function<void()> call) {
    const std::scoped_lock lock(mutex_);
    on_lost_ = std::move(call);
    if (lost() && on_lost_) on_lost_();
  }

 private:
  void wake() const {
    const std::uint64_t one = 1;
    if (::write(wake_.get(), &one, sizeof one) < 0) return;
  }
  std::stop_source cancelled_, lost_;
  Fd wake_;
  std::mutex mutex_;  // guards on_lost_
  std::function<void()> on_lost_;
};

}  // namespace mc::worker
