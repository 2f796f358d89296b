// The server of a world: the production conductor::Core over a store that survives crashes, driven
// as the threads of conductor/service.cc drive it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "conductor/core.h"
#include "db/faulty/faulty_store.h"
#include "sim/checker.h"
#include "sim/faults.h"
#include "sim/timeline.h"

namespace mc::sim {

class ServerNode {
 public:
  ServerNode(Timeline& timeline, const Faults& faults, conductor::Options options, Checker& checker,
             std::uint64_t seed);

  void boot();
  // A request has come. Nobody answers while the server is down; it waits while the server stands
  // still.
  void receive(std::function<void(conductor::Core&, Instant)> request);
  // The process is gone at once; what the store has stays. It starts again by itself.
  void crash();
  void pause(Millis time);
  // SIGTERM: takes nothing new on, makes durable what it decided, ends, starts again.
  void drain();
  void jump_clock(Millis by);
  // From now on nothing is injected.
  void calm();

  // The server's clock; nullopt while it is down, or cannot read its store.
  std::optional<Instant> up();
  db::Store& disk() { return *disk_; }
  std::int64_t crashes() const { return crashes_; }
  std::int64_t commits() const { return commits_; }
  // Faults of the store, and crashes at a commit, so far.
  std::int64_t injected() const { return injected_ + reads_.faults(); }

 private:
  enum class Cut : std::uint8_t { none, before, between, after };  // where a commit is cut off

  Instant clock();
  void pump();
  void begin_commit();
  void apply(const std::shared_ptr<conductor::Commit>& commit, Cut cut);
  void finish(const std::shared_ptr<conductor::Commit>& commit, const Status& result, Cut cut);
  void arm_wake();
  void restart_after(Millis delay);
  // Later, if the server still lives then; held back while it stands still.
  void later(Millis delay, std::function<void()> action);
  Millis commit_time();

  Timeline& timeline_;
  const Faults& faults_;
  conductor::Options options_;
  Checker& checker_;
  Rng rng_;
  bool calm_ = false;
  std::unique_ptr<db::Store> disk_;
  db::FaultyStore reads_;
  std::unique_ptr<conductor::Core> core_;  // null: down
  std::int64_t life_ = 0;                  // counts starts
  bool paused_ = false, draining_ = false, committing_ = false;
  std::vector<std::function<void()>> held_;  // what the process will do when it goes on
  std::vector<std::function<void(conductor::Core&, Instant)>> requests_;  // not looked at yet
  Instant wake_;  // when the timeline will call
  Millis skew_{0};
  Instant last_clock_;
  std::int64_t crashes_ = 0, commits_ = 0, injected_ = 0;
};

}  // namespace mc::sim
