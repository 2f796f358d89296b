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
}  // namespace

const std::vector<std::string>& profile_names() {
  static const std::vector<std::string> names = {"swarm", "calm", "storm",   "network",
                                                 "crash", "disk", "workers", "clock"};
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
