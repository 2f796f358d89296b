#include "engine/definition.h"

#include "base/check.h"

namespace mc::engine {
namespace {
std::vector<std::vector<JobIndex>> invert(const std::vector<JobSpec>& jobs) {
  std::vector<std::vector<JobIndex>> dependents(jobs.size());
  for (JobIndex i = 0; i < jobs.size(); ++i) {
    for (const JobIndex need : jobs[i].needs) dependents.at(need).push_back(i);
  }
  return dependents;
}
}  // namespace

DefinitionRef make_definition(WorkflowSpec spec) {
  auto definition = std::make_shared<Definition>();
  definition->graph_dependents = invert(spec.jobs);
  definition->on_failure_dependents = invert(spec.on_failure);
  definition->finally_dependents = invert(spec.finally);
  definition->spec = std::move(spec);
  return definition;
}

const std::vector<JobSpec>& jobs_of(const Definition& definition, Phase phase) {
  switch (phase) {
    case Phase::graph:
    case Phase::compensate: return definition.spec.jobs;
    case Phase::on_failure: return definition.spec.on_failure;
    case Phase::finally: return definition.spec.finally;
  }
  MC_CHECK(false);
}

const std::vector<std::vector<JobIndex>>& dependents_of(const Definition& definition, Phase phase) {
  switch (phase) {
    case Phase::graph:
    case Phase::compensate: return definition.graph_dependents;
    case Phase::on_failure: return definition.on_failure_dependents;
    case Phase::finally: return definition.finally_dependents;
  }
  MC_CHECK(false);
}
}  // namespace mc::engine
