// A definition cut down to some of its jobs: for `exec --job`.
#pragma once

#include <string>
#include <vector>

#include "model/workflow.h"

namespace mc::cli {

// The text of a definition with only the jobs of `keys`: without outputs of the run, and without
// what follows the graph (on_failure, finally). Requires: `spec` was parsed without errors, and
// `keys` holds with each job all that it needs.
std::string narrowed(const WorkflowSpec& spec, const std::vector<std::string>& keys);

}  // namespace mc::cli
