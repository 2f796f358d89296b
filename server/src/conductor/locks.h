// Concurrency groups: who holds one and who waits for it. In memory only: rebuilt from the open
// runs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/uuid.h"
#include "model/event.h"

namespace mc::conductor {

// A run (node == kWholeRun) or one of its jobs.
struct LockOwner {
  std::int64_t number = 0;  // the run's: earlier runs come first
  Uuid run;
  NodeIndex node = 0;
  auto operator<=>(const LockOwner&) const = default;
};
inline constexpr NodeIndex kWholeRun = 0xfffffffe;

// Where a project's concurrency group stands in the table. Groups of runs and groups of jobs are
// kept apart: a run holds its own while its jobs ask for theirs, so that sharing them could only
// deadlock.
inline std::string run_group(const std::string& project, const std::string& group) {
  return project + "\nrun\n" + group;
}
inline std::string job_group(const std::string& project, const std::string& group) {
  return project + "\njob\n" + group;
}

class LockTable {
 public:
  // True: held now. False: in the queue. Asking again changes nothing.
  bool acquire(const std::string& group, int limit, const LockOwner& owner);
  // For recovery: holds without asking for room.
  void restore(const std::string& group, int limit, const LockOwner& owner);
  // Gives up what `owner` holds or waits for; returns those that hold now and did not before.
  std::vector<LockOwner> release(const std::string& group, const LockOwner& owner);
  bool is_free(const std::string& group, int limit) const;
  std::vector<LockOwner> holders(const std::string& group) const;
  std::vector<LockOwner> waiting(const std::string& group) const;

 private:
  struct Group {
    int limit = 1;
    std::set<LockOwner> holders;
    std::set<LockOwner> queue;
  };
  std::map<std::string, Group, std::less<>> groups_;
};

}  // namespace mc::conductor
