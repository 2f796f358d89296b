#include "conductor/locks.h"

namespace mc::conductor {

bool LockTable::acquire(const std::string& group, int limit, const LockOwner& owner) {
  Group& entry = groups_[group];
  entry.limit = limit;
  if (entry.holders.contains(owner)) return true;
  if (entry.queue.empty() && static_cast<int>(entry.holders.size()) < limit) {
    entry.holders.insert(owner);
    return true;
  }
  entry.queue.insert(owner);
  return false;
}

void LockTable::restore(const std::string& group, int limit, const LockOwner& owner) {
  Group& entry = groups_[group];
  entry.limit = limit;
  entry.holders.insert(owner);
}

std::vector<LockOwner> LockTable::release(const std::string& group, const LockOwner& owner) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  Group& entry = found->second;
  entry.holders.erase(owner);
  entry.queue.erase(owner);
  std::vector<LockOwner> granted;
  while (!entry.queue.empty() && static_cast<int>(entry.holders.size()) < entry.limit) {
    const LockOwner next = *entry.queue.begin();
    entry.queue.erase(entry.queue.begin());
    entry.holders.insert(next);
    granted.push_back(next);
  }
  if (entry.holders.empty() && entry.queue.empty()) groups_.erase(found);
  return granted;
}

bool LockTable::is_free(const std::string& group, int limit) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ||
         (found->second.queue.empty() && static_cast<int>(found->second.holders.size()) < limit);
}

std::vector<LockOwner> LockTable::holders(const std::string& group) const {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  return {found->second.holders.begin(), found->second.holders.end()};
}

std::vector<LockOwner> LockTable::waiting(const std::string& group) const {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  return {found->second.queue.begin(), found->second.queue.end()};
}
}  // namespace mc::conductor
