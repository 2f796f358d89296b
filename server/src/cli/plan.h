// `maestro plan`: what a definition would do with these inputs, as far as it can be known
// beforehand.
#pragma once

#include "base/error.h"
#include "base/value.h"
#include "cli/plan_cache.h"
#include "cli/verb.h"
#include "model/workflow.h"

namespace mc::cli {

Result<int> plan_file(Session& session, const Args& args);

// {stages: [{stage, jobs: [{key, kind, needs, if, decision, cells, cache_key, cache, …}]}],
// on_failure, finally}. `decision` is run, reuse, skip or later. Requires: `inputs` are resolved.
Value make_plan(const WorkflowSpec& spec, const Value& inputs, PlanCache& cache);

}  // namespace mc::cli
