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

// What more may go wrong where replicas share a database. A server of Faults is then any replica,
// mostly the one that leads, and its store is the database.
struct ClusterFaults {
  Millis restart_every{0};  // of the database: all connections are lost
  Millis away_every{0};     // it cannot be reached for up to 40 s
  Millis stall_every{0};    // it takes statements and carries them out up to 20 s later
  Millis cut_every{0};      // one replica is cut off from it for up to a minute
  Millis lonely_every{0};   // one replica is cut off from a worker, a client or another replica
  // A connection is lost, a statement; before it took effect, or after.
  double lose_before = 0;
  double lose_after = 0;
  double late = 0;  // a statement stays up to 45 s in the network, and is carried out then
  // How much faster or slower than the database's the clocks of replicas go, at most.
  double drift = 0;
};

// "swarm" (a random subset of all), "calm" (none), "storm" (all), and one a kind: "network",
// "crash", "disk", "workers", "clock", "database" (always with replicas). nullopt: no such profile.
std::optional<Faults> choose_faults(std::string_view profile, Rng& rng);
// Requires: a profile that choose_faults knows.
ClusterFaults choose_cluster_faults(std::string_view profile, Rng& rng);
const std::vector<std::string>& profile_names();
// The faults in words, for the line that a failure prints.
std::string describe(const Faults& faults);
std::string describe(const ClusterFaults& faults);

}  // namespace mc::sim
