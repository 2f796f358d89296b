// Virtual time: what is to happen, in order. Nothing here or above it reads a clock.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "base/time.h"

namespace mc::sim {

class Timeline {
 public:
  explicit Timeline(Instant begin) : now_(begin) {}

  Instant now() const { return now_; }
  // Actions of one moment happen in the order in which they were asked for.
  void at(Instant when, std::function<void()> action) {
    queue_.push({std::max(when, now_), next_++, std::move(action)});
  }
  void after(Millis delay, std::function<void()> action) { at(now_ + delay, std::move(action)); }
  // The next action; false: there is none.
  bool step() {
    if (queue_.empty()) return false;
    // Moved out of a place that is popped at once: its order is no longer looked at.
    Entry entry = std::move(const_cast<Entry&>(queue_.top()));
    queue_.pop();
    now_ = entry.when;
    entry.action();
    return true;
  }
  std::int64_t scheduled() const { return next_; }

 private:
  struct Entry {
    Instant when;
    std::int64_t order = 0;
    std::function<void()> action;
    bool operator<(const Entry& other) const {
      return std::pair(other.when, other.order) < std::pair(when, order);
    }
  };
  Instant now_;
  std::int64_t next_ = 0;
  std::priority_queue<Entry> queue_;
};

}  // namespace mc::sim
