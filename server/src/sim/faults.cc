#include "sim/faults.h"

#include <fmt/format.h>

#include <algorithm>

namespace mc::sim {
namespace {
Millis mean(Rng& rng, std::int64_t least_s, std::int64_t most_s) {
  const auto span = static_cast<std::uint64_t>(most_s - least_s + 1);
  return Millis(1000 * (least_s + static_cast<std::int64_t>(rng.below(span))));
}

void network(Faults& faults, Rng& rng) {
  if (rng.chance(0.6)) faults.lose_message = 0.2 * rng.unit();
  if (rng.chance(0.6)) faults.double_message = 0.2 * rng.unit();
  if (rng.chance(0.5)) faults.delay_max = Millis(50 + static_cast<std::int64_t>(rng.below(8'000)));
  if (rng.chance(0.5)) faults.partition_every = mean(rng, 20, 200);
}
void crash(Faults& faults, Rng& rng) {
  if (rng.chance(0.7)) faults.crash_every = mean(rng, 20, 300);
  if (rng.chance(0.7)) faults.crash_at_commit = 0.05 * rng.unit();
  if (rng.chance(0.3)) faults.pause_every = mean(rng, 40, 300);
  if (rng.chance(0.3)) faults.drain_every = mean(rng, 60, 300);
}
void disk(Faults& faults, Rng& rng) {
  if (rng.chance(0.5)) faults.commit_max = Millis(20 + static_cast<std::int64_t>(rng.below(4'000)));
  if (rng.chance(0.6)) faults.refuse_commit = 0.05 * rng.unit();
  if (rng.chance(0.6)) faults.lose_answer = 0.05 * rng.unit();
  if (rng.chance(0.4)) faults.fail_read = 0.03 * rng.unit();
}
void workers(Faults& faults, Rng& rng) {
  if (rng.chance(0.7)) faults.worker_crash_every = mean(rng, 20, 300);
  if (rng.chance(0.5)) faults.worker_pause_every = mean(rng, 20, 300);
  if (rng.chance(0.5)) faults.fail_job = 0.6 * rng.unit();
}
void clocks(Faults& faults, Rng& rng) { faults.clock_jump_every = mean(rng, 30, 300); }

void connections(ClusterFaults& faults, Rng& rng) {
  if (rng.chance(0.5)) faults.restart_every = mean(rng, 30, 200);
  if (rng.chance(0.6)) faults.lose_before = 0.04 * rng.unit();
  if (rng.chance(0.6)) faults.lose_after = 0.04 * rng.unit();
  if (rng.chance(0.5)) faults.late = 0.02 * rng.unit();
}
void outages(ClusterFaults& faults, Rng& rng) {
  if (rng.chance(0.5)) faults.away_every = mean(rng, 40, 300);
  if (rng.chance(0.5)) faults.stall_every = mean(rng, 40, 300);
  if (rng.chance(0.6)) faults.cut_every = mean(rng, 20, 200);
}
}  // namespace

const std::vector<std::string>& profile_names() {
  static const std::vector<std::string> names = {"swarm", "calm",    "storm", "network", "crash",
                                                 "disk",  "workers", "clock", "database"};
  return names;
}

std::optional<Faults> choose_faults(std::string_view profile, Rng& rng) {
  if (std::ranges::find(profile_names(), profile) == profile_names().end()) return std::nullopt;
  const bool storm = profile == "storm";
  const auto has = [&](std::string_view kind) {
    return storm || profile == kind || (profile == "swarm" && rng.chance(0.5));
  };
  Faults faults;
  if (has("network")) network(faults, rng);
  if (has("crash")) crash(faults, rng);
  if (has("disk")) disk(faults, rng);
  if (has("workers")) workers(faults, rng);
  if (has("clock")) clocks(faults, rng);
  return faults;
}

ClusterFaults choose_cluster_faults(std::string_view profile, Rng& rng) {
  const auto has = [&](std::string_view kind) {
    return profile == "storm" || profile == kind || (profile == "swarm" && rng.chance(0.5));
  };
  ClusterFaults faults;
  if (has("database")) connections(faults, rng);
  if (has("database")) outages(faults, rng);
  if (has("network") && rng.chance(0.7)) faults.lonely_every = mean(rng, 20, 200);
  // Ten times what a bad quartz does; a second in 3 s is more than a lease allows for.
  if (has("clock")) faults.drift = 0.0003;
  return faults;
}

std::string describe(const ClusterFaults& faults) {
  return fmt::format(
      "database: restart {} ms, away {} ms, stall {} ms, cut {} ms, connection lost {:.3f} before "
      "/ "
      "{:.3f} after, late {:.3f}; replica alone {} ms, drift {:.4f}",
      faults.restart_every.count(), faults.away_every.count(), faults.stall_every.count(),
      faults.cut_every.count(), faults.lose_before, faults.lose_after, faults.late,
      faults.lonely_every.count(), faults.drift);
}

std::string describe(const Faults& faults) {
  return fmt::format(
      "lose {:.2f}, double {:.2f}, delay {} ms, partition {} ms, crash {} ms / {:.3f} a commit, "
      "pause {} ms, drain {} ms, clock {} ms, commit {} ms, refuse {:.3f}, lost answer {:.3f}, "
      "read {:.3f}, worker crash {} ms, worker pause {} ms, failing jobs {:.2f}",
      faults.lose_message, faults.double_message, faults.delay_max.count(),
      faults.partition_every.count(), faults.crash_every.count(), faults.crash_at_commit,
      faults.pause_every.count(), faults.drain_every.count(), faults.clock_jump_every.count(),
      faults.commit_max.count(), faults.refuse_commit, faults.lose_answer, faults.fail_read,
      faults.worker_crash_every.count(), faults.worker_pause_every.count(), faults.fail_job);
}

}  // namespace mc::sim
