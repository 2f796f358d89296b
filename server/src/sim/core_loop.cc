#include "sim/core_loop.h"

namespace mc::sim {

void CoreLoop::receive(Request request) {
  requests_.push_back(std::move(request));
  pump();
}

void CoreLoop::pump() {
  if (process_.stands_still()) return;
  const Instant now = process_.clock();
  if (!core_.usable()) {
    core_.tick(now);
    if (!core_.usable()) return arm_wake();
    process_.read_back(now);
  }
  for (auto& request : std::exchange(requests_, {})) request(core_, now);
  core_.tick(now);
  while (!committing_ && core_.has_commit()) begin_commit();
  if (draining_ && !committing_ && !core_.has_commit()) return process_.drained();
  arm_wake();
}

void CoreLoop::arm_wake() {
  Instant wake = core_.next_wake();
  if (!wake) return;
  wake = std::max(wake - process_.skew(), timeline_.now() + Millis(1));
  if (wake_ && wake_ > timeline_.now() && wake_ <= wake) return;
  wake_ = wake;
  process_.later(wake - timeline_.now(), [this] { pump(); });
}

void CoreLoop::begin_commit() {
  auto commit = std::make_shared<conductor::Commit>(core_.take_commit());
  // Nothing to write: what waits for it waits for nothing.
  if (commit->batch.empty()) return core_.finish_commit(std::move(*commit), {}, process_.clock());
  committing_ = true;
  process_.write(commit);
}

void CoreLoop::finished(const Pending& commit, const Status& result) {
  committing_ = false;
  if (!result) process_.read_back(process_.clock());  // the conductor reads everything back
  core_.finish_commit(std::move(*commit), result, process_.clock());
}

}  // namespace mc::sim
