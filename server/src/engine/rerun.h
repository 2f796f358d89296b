// Which jobs of an old run a re-run keeps, and whose effects on the outside it would repeat.
#pragma once

#include <string>
#include <vector>

#include "engine/state.h"

namespace mc::engine {

enum class RerunScope : std::uint8_t { all, failed, from };

// Until when artifacts are there.
struct ArtifactLife {
  Instant now;
  Millis keep;  // those that do not say themselves, from the end of their job on
};

struct RerunPlan {
  // Succeeded or reused, with all their artifacts, and nothing before them runs again.
  std::vector<KeptJob> kept;
  // Keys of jobs that run again though their external effects happened already, in this run or in
  // the one that they were kept from.
  std::vector<std::string> repeats;
};

// Requires: a final run. `from` is the key of a job or of a matrix cell. Errors: job_not_found.
Result<RerunPlan> plan_rerun(const RunState& old, RerunScope scope, const std::string& from,
                             const ArtifactLife& life);

}  // namespace mc::engine
