// What may go wrong in a world, and how often. Swarm testing (Groce et al., ISSTA 2012): each seed
// gets a random subset of the faults that its profile allows, so that no fault hides another.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/time.h"

namespace mc::sim {

// Chances are from 0 to 1; a mean time of 0 means never.
struct Faults {
  // Messages between clients, workers and the server.
  double lose_message = 0;
  double double_message = 0;
  Millis delay_max{20};
  Millis partition_every{0};  // cuts one worker or client off for up to a minute
  // The server: killed at any moment, or at the borders of a commit.
  Millis crash_every{0};
  double crash_at_commit = 0;
  Millis pause_every{0};       // stands still (SIGSTOP, swap) for up to 40 s, beyond the lease
  Millis drain_every{0};       // an orderly stop and start
  Millis clock_jump_every{0};  // its clock: forwards at any time, backwards by a restart
  // The store.
  Millis commit_max{5};
  double refuse_commit = 0;  // nothing written
  double lose_answer = 0;    // written, but said to have failed
  double fail_read = 0;
  // Workers.
  Millis worker_crash_every{0};
  Millis worker_pause_every{0};
  double fail_job = 0.1;
};

// "swarm" (a random subset of all), "calm" (none), "storm" (all), and one a kind: "network",
// "crash", "disk", "workers", "clock". nullopt: no such profile.
std::optional<Faults> choose_faults(std::string_view profile, Rng& rng);
const std::vector<std::string>& profile_names();
// The faults in words, for the line that a failure prints.
std::string describe(const Faults& faults);

}  // namespace mc::sim
