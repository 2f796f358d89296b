// A checked workflow with what the engine needs to walk it: who waits for whom.
#pragma once

#include <memory>
#include <vector>

#include "model/workflow.h"

namespace mc::engine {

struct Definition {
  WorkflowSpec spec;
  // For each job of a list, the jobs of the same list that need it.
  std::vector<std::vector<JobIndex>> graph_dependents;
  std::vector<std::vector<JobIndex>> on_failure_dependents;
  std::vector<std::vector<JobIndex>> finally_dependents;
};
// Shared by the runs of one definition and by the cache that finds it again by digest.
using DefinitionRef = std::shared_ptr<const Definition>;

DefinitionRef make_definition(WorkflowSpec spec);

const std::vector<JobSpec>& jobs_of(const Definition& definition, Phase phase);
const std::vector<std::vector<JobIndex>>& dependents_of(const Definition& definition, Phase phase);

}  // namespace mc::engine
