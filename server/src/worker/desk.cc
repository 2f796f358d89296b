#include "worker/desk.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace mc::worker {

int Desk::reserve_all() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return closed_ || draining_ || may_reserve(); });
  return reserve();
}

int Desk::reserve_some() {
  const std::scoped_lock lock(mutex_);
  return reserve();
}

// Requires: the lock.
int Desk::reserve() {
  if (closed_ || draining_ || !may_reserve()) return 0;
  ++asking_;
  return std::exchange(free_, 0);
}

void Desk::take_in(int reserved, std::vector<Task> tasks) {
  const std::scoped_lock lock(mutex_);
  if (reserved > 0 && asking_ > 0) --asking_;
  if (closed_) tasks.clear();  // nobody is left to end them: their leases will
  for (Task& task : tasks) {
    const auto known = held_.find(task.task_id);
    if (known != held_.end() && known->second->task.fence == task.fence) continue;
    weighs_ = weighs_ || !task.takes.empty();
    Ref held = std::make_shared<Held>();
    held->task = std::move(task);
    held_[held->task.task_id] = held;
    queue_.push_back(std::move(held));
    --reserved;
  }
  free_ += std::max(0, reserved);
  changed_.notify_all();
}

Desk::Ref Desk::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return closed_ || !queue_.empty(); });
  return take_task();
}

Desk::Ref Desk::try_next() {
  const std::scoped_lock lock(mutex_);
  return take_task();
}

// Requires: the lock.
Desk::Ref Desk::take_task() {
  if (closed_ || queue_.empty()) return nullptr;
  Ref held = std::move(queue_.front());
  queue_.pop_front();
  ++running_;
  return held;
}

void Desk::finish(const Ref& held, std::optional<TaskResult> result) {
  const std::scoped_lock lock(mutex_);
  --running_;
  ++free_;
  if (result && !held->control.lost()) {
    outbox_.push_back(std::move(*result));
  } else if (const auto at = held_.find(held->task.task_id);
             at != held_.end() && at->second == held) {
    held_.erase(at);
  }
  changed_.notify_all();
}

void Desk::if_quiet(const std::function<void()>& action) {
  const std::scoped_lock lock(mutex_);
  if (running_ == 0) action();
}

std::vector<TaskResult> Desk::results() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return closed_ || !outbox_.empty(); });
  return take_results();
}

std::vector<TaskResult> Desk::try_results() {
  const std::scoped_lock lock(mutex_);
  return take_results();
}

// Requires: the lock.
std::vector<TaskResult> Desk::take_results() {
  std::vector<TaskResult> batch;
  while (!outbox_.empty() && batch.size() < kResultsPerCall) {
    batch.push_back(std::move(outbox_.front()));
    outbox_.pop_front();
  }
  sending_ += batch.size();
  return batch;
}

void Desk::settled(const std::vector<std::string>& task_ids) {
  const std::scoped_lock lock(mutex_);
  for (const std::string& id : task_ids) held_.erase(id);
  sending_ -= std::min(sending_, task_ids.size());
  changed_.notify_all();
}

void Desk::put_back(std::vector<TaskResult> results) {
  const std::scoped_lock lock(mutex_);
  sending_ -= std::min(sending_, results.size());
  for (auto it = results.rbegin(); it != results.rend(); ++it) {
    // Lost meanwhile: nobody wants to hear of it any more.
    if (held_.contains(it->task_id)) outbox_.push_front(std::move(*it));
  }
  changed_.notify_all();
}

std::vector<wire::TaskHold> Desk::holds() const {
  const std::scoped_lock lock(mutex_);
  std::vector<wire::TaskHold> holds;
  holds.reserve(held_.size());
  for (const auto& [id, held] : held_) holds.push_back({id, held->task.fence});
  return holds;
}

std::vector<wire::TaskUse> Desk::uses(const std::vector<TaskResult>& results) const {
  std::set<std::string_view> ended;
  for (const TaskResult& result : results) ended.insert(result.task_id);
  const std::scoped_lock lock(mutex_);
  std::vector<wire::TaskUse> uses;
  for (const auto& [id, held] : held_) {
    if (!held->task.takes.empty() && !ended.contains(id)) uses.push_back({id, held->task.takes});
  }
  return uses;
}

bool Desk::wait_for_hold() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return closed_ || !held_.empty(); });
  return !closed_;
}

void Desk::cancel(const std::string& task_id) {
  const std::scoped_lock lock(mutex_);
  if (const auto at = held_.find(task_id); at != held_.end()) at->second->control.cancel();
}

void Desk::lose(const std::string& task_id) {
  const std::scoped_lock lock(mutex_);
  lose_task(task_id);
}

// Requires: the lock.
void Desk::lose_task(const std::string& task_id) {
  const auto at = held_.find(task_id);
  if (at == held_.end()) return;
  at->second->control.lose();
  if (const auto queued = std::ranges::find(queue_, at->second); queued != queue_.end()) {
    queue_.erase(queued);
    ++free_;
  }
  std::erase_if(outbox_, [&](const TaskResult& result) { return result.task_id == task_id; });
  held_.erase(at);
  changed_.notify_all();
}

void Desk::drain() {
  const std::scoped_lock lock(mutex_);
  draining_ = true;
  changed_.notify_all();
}

bool Desk::wait_idle(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patience, [&] { return is_idle(); });
}

void Desk::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  while (!held_.empty()) lose_task(std::string(held_.begin()->first));
  changed_.notify_all();
}

bool Desk::closed() const {
  const std::scoped_lock lock(mutex_);
  return closed_;
}

int Desk::running() const {
  const std::scoped_lock lock(mutex_);
  return running_;
}

}  // namespace mc::worker
