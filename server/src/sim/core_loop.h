// The production conductor::Core, driven as the threads of conductor/service.cc drive it. The
// process around it says what the clock shows, when time goes on and how a commit is made durable.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "conductor/core.h"
#include "sim/timeline.h"

namespace mc::sim {

class CoreLoop {
 public:
  using Request = std::function<void(conductor::Core&, Instant)>;
  // A commit on its way; who holds it last ends it.
  using Pending = std::shared_ptr<conductor::Commit>;

  class Process {
   public:
    virtual Instant clock() = 0;
    // How far its clock is ahead of the world's time.
    virtual Millis skew() const = 0;
    virtual bool stands_still() const = 0;
    // Later, if the process still lives then; held back while it stands still.
    virtual void later(Millis delay, std::function<void()> action) = 0;
    // Makes a batch durable, or not, and says so to finished().
    virtual void write(const Pending& commit) = 0;
    // The core has read everything back from the store.
    virtual void read_back(Instant now) = 0;
    // All that was decided before drain() is durable. May end the loop.
    virtual void drained() = 0;

   protected:
    ~Process() = default;
  };

  // All outlive this.
  CoreLoop(Timeline& timeline, Process& process, db::Store& store, conductor::Options options)
      : timeline_(timeline), process_(process), core_(store, std::move(options)) {}

  // Requires: called once, first.
  Status recover(Instant now) { return core_.recover(now); }
  // A request has come; it waits while the process stands still.
  void receive(Request request);
  void pump();
  void finished(const Pending& commit, const Status& result);
  void drain() {
    draining_ = true;
    core_.drain();
  }
  bool usable() const { return core_.usable(); }
  conductor::Core& core() { return core_; }

 private:
  void begin_commit();
  void arm_wake();

  Timeline& timeline_;
  Process& process_;
  conductor::Core core_;
  bool draining_ = false, committing_ = false;
  std::vector<Request> requests_;  // not looked at yet
  Instant wake_;                   // when the timeline will call
};

}  // namespace mc::sim
