// Places where a test build dies, tarries or is lied to about the time. In every other build
// MC_FAULT_POINT is nothing at all: no call, no text in the program (campaign_test.py looks).
//
// A build with the CMake option MC_FAULTS (preset `faults`) reads MC_FAULT once, a list with
// commas of:
//   POINT:N            SIGKILL when the point is passed for the N-th time (from 1)
//   POINT:delay:MS     every pass takes MS longer
//   clock:offset:MS    the wall clock is off by MS (may be negative)
//   clock:jump:MS:AT   it jumps by MS once this process has lived for AT ms
// and MC_FAULT_REACHED, a file: the name of each point is appended to it at its first pass.
// What cannot be read ends the process with a message: a campaign that tests nothing must not pass.
// The points are listed in docs/reliability.md. Any thread.
#pragma once

#ifdef MC_FAULTS
#include <cstdint>

namespace mc {
void pass_fault_point(const char* name);
// What is to be added to the wall clock at this moment, in ms.
std::int64_t fault_clock_offset();
}  // namespace mc
#define MC_FAULT_POINT(name) ::mc::pass_fault_point(name)
#else
#define MC_FAULT_POINT(name) static_cast<void>(0)
#endif
