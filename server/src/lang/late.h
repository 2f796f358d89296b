// Settings of a job that are given as expressions (`timeout: "${{ inputs.limit }}"`): their values
// are known, and checked, only when the job's turn comes.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/value.h"
#include "lang/expression.h"
#include "lang/yaml.h"
#include "model/workflow.h"

namespace mc::lang {

// Which settings a node of the graph is about to take up.
enum class LatePart : std::uint8_t {
  job,    // all of a job without a matrix
  group,  // of a matrix as a whole: max_parallel, fail_fast
  cell    // the rest, for one of its cells
};

// Places of the settings of `job` (a mapping) that are expressions, such as `retry.attempts`.
std::vector<std::string> late_settings(const YamlNode& job);
// `job` as if they had not been given.
YamlNode without(const YamlNode& job, const std::vector<std::string>& places);
// The node at a place of late_settings.
const YamlNode& node_at(const YamlNode& job, const std::string& place);
// Whether the setting at `place` is the matrix's own.
bool is_of_group(const std::string& place);

// The values of JobSpec::late that belong to `part`, by their places.
// Errors: invalid_expression; invalid_definition (a value that the setting cannot have).
Result<Value> evaluate_late(const JobSpec& job, LatePart part, const Scope& scope);
// The job with these values in the place of the expressions. Errors: invalid_definition.
Result<JobSpec> with_settings(const JobSpec& job, const Value& settings);

}  // namespace mc::lang
