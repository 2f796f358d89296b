// SIGINT and SIGTERM as a count that the rest of the program reads. Every thread of the process has
// them blocked; one thread here takes them.
#pragma once

#include <thread>

#include "base/time.h"
#include "cli/io.h"

namespace mc::bin {

class Signals {
 public:
  // Blocks SIGINT, SIGTERM and SIGHUP, ignores SIGPIPE, and starts the taking thread. Requires: no
  // other thread was started before. While `interrupts.handled` is false the first signal ends the
  // process with 128 + its number.
  explicit Signals(cli::Interrupts& interrupts);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  cli::Interrupts& interrupts() { return interrupts_; }
  // Takes no more: what comes from now on waits for the program that this process becomes.
  void leave_them();

 private:
  void take();
  cli::Interrupts& interrupts_;
  std::thread thread_;
};

}  // namespace mc::bin
