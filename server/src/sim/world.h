// One simulated world: a server, or replicas on one database, workers, clients, a network, faults,
// a judge, all from one seed. The same seed, profile and number of replicas give the same world,
// step by step, on every machine.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace mc::sim {

struct Verdict {
  std::string violation;  // the first; empty: none
  std::string faults;     // what was injected, in words
  std::int64_t steps = 0, runs = 0, events = 0, commits = 0, crashes = 0, jobs = 0;
  std::int64_t injected = 0;  // faults dealt out; late messages and failing jobs are not counted
  std::uint64_t fingerprint = 0;  // of everything that became durable, in order
  int replicas = 1;
  std::int64_t takeovers = 0;  // how often the lease went to a replica that had it not
};

constexpr int kReplicasMax = 9;
// What replicas_of chooses by chance.
constexpr int kByChance = 0;
// How many servers the world of a seed has: `wanted`, or by chance one, three quarters of the time,
// or two to four; at least two in the profile "database", which is about them.
int replicas_of(std::uint64_t seed, std::string_view profile, int wanted);

// Faults for some ten virtual minutes, then a time without, in which every run must end.
// Requires: a profile that choose_faults knows. Threads: any, each world on its own.
// `wanted`: see replicas_of. `trace`, when given, hears of every fault and of everything that
// became durable.
Verdict simulate(std::uint64_t seed, std::string_view profile, int wanted = kByChance,
                 const std::function<void(const std::string&)>& trace = nullptr);

}  // namespace mc::sim
