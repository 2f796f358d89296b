// Who wants to know that a run's logs have grown.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/uuid.h"

namespace mc::blob {

// Threads: any. After remove() has returned, the callback does not run any more (remove() waits
// for a call on another thread to end); a callback may remove itself.
class Watchers {
 public:
  using Changed = std::function<void(std::uint32_t node, int attempt)>;
  std::uint64_t add(Uuid run, Changed changed);
  void remove(std::uint64_t ticket);
  void notify(Uuid run, std::uint32_t node, int attempt);

 private:
  struct Watcher {
    std::uint64_t ticket = 0;
    std::recursive_mutex calling;  // recursive: a callback may remove its own watcher
    Changed changed;
    bool removed = false;  // guarded by `calling`
  };
  // Shared: a call in progress keeps its watcher while another thread removes it.
  using Ref = std::shared_ptr<Watcher>;

  std::mutex mutex_;  // guards what follows
  std::uint64_t last_ticket_ = 0;
  std::unordered_map<Uuid, std::vector<Ref>> by_run_;
  std::unordered_map<std::uint64_t, Uuid> runs_;
};

}  // namespace mc::blob
