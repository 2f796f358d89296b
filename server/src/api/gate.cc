#include "api/gate.h"

namespace mc::api {

Gate::Guest Gate::enter() {
  const std::lock_guard lock(mutex_);
  if (closed_) return Guest(nullptr);
  ++inside_;
  return Guest(this);
}

void Gate::leave() {
  // Under the lock: who waits may be the end of this.
  const std::lock_guard lock(mutex_);
  if (--inside_ == 0) left_.notify_all();
}

void Gate::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  left_.wait(lock, [this] { return inside_ == 0; });
}

}  // namespace mc::api
