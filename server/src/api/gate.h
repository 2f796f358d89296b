// Who is inside what is to be taken apart: whoever uses it enters first, and closing waits until
// everybody has left. Threads: any.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

namespace mc::api {

class Gate {
 public:
  // Leaves when it ends.
  class Guest {
   public:
    explicit Guest(Gate* gate) : gate_(gate) {}
    // False: the gate is closed, and what is behind it may be gone.
    explicit operator bool() const { return gate_ != nullptr; }

   private:
    struct Leave {
      void operator()(Gate* gate) const { gate->leave(); }
    };
    std::unique_ptr<Gate, Leave> gate_;
  };

  // May be called by who is inside already.
  Guest enter();
  // Nobody enters from now on; waits for those who are inside. Requires: not called by one of them.
  void close();

 private:
  void leave();

  std::mutex mutex_;  // guards what follows
  std::condition_variable left_;
  std::size_t inside_ = 0;
  bool closed_ = false;
};

}  // namespace mc::api
