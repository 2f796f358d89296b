// A process, named so that another one on the same machine can tell for certain that it has ended,
// also when its number is another's by now.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/file.h"

namespace mc::db {

// "BOOT/NAMESPACE/PID/START": of the machine since it booted, of the container (its PID namespace,
// an inode), and when the process began, in ticks since boot (proc(5), stat, field 22). Empty where
// the kernel does not say. What exec() starts in its place is the same process.
std::string process_name(pid_t pid);

// Thread: one at a time. Copies of a machine that woke from one snapshot take each other's
// processes for their own: nothing that must be right there may rest on this.
class ProcessWatch {
 public:
  ProcessWatch() = default;  // nothing is known of it
  explicit ProcessWatch(std::string_view process_name);

  // False: it lives, or it cannot be seen from here.
  bool ended();
  // Becomes readable when it ends; -1: nobody will be told, or ended() has said so.
  int descriptor() const { return pidfd_.get(); }

 private:
  Fd pidfd_;
  bool ended_ = false;
};

}  // namespace mc::db
