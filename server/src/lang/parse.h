// Definition text to WorkflowSpec: YAML with positions, every rule of the language, all problems at
// once. Pure: no file, no clock. The language is specified in docs/reference/workflow.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/workflow.h"

namespace mc::lang {

struct ParseOptions {
  // The name when the text has none: the file's name without its extension.
  std::string default_name = "workflow";
};

struct Parsed {
  WorkflowSpec spec;  // complete only when `errors` is empty
  std::vector<Problem> errors;
  std::vector<Problem> warnings;
  bool ok() const { return errors.empty(); }
};

// Bounded: 1 MiB of text, depth 64, aliases counted against the size, 10,000 jobs, 1,000 steps a
// job; returns within a second and 200 MB whatever the text is. At most kProblemsMax problems are
// kept.
Parsed parse_workflow(std::string_view text, const ParseOptions& options = {});

// Reads back JobSpec::source (a worker's side of the protocol). Checks what parse_workflow checks
// of one job, apart from names of other jobs. Errors: invalid_definition with problems.
Result<JobSpec> parse_job(const std::string& key, const Value& source);

// `problems` as people read them, each with its line of `text`, a caret, and the hint:
//   ci.yaml:4:9: error[unknown_key]: unknown key `runn`
//       4 |       - runn: make
//         |         ^ did you mean `run`?
std::string render_problems(std::string_view file, std::string_view text,
                            const std::vector<Problem>& problems, std::string_view severity,
                            bool colour);

// The JSON Schema (2020-12) of the language, for editors: what `maestro schema` prints.
std::string workflow_schema();

// Whether `who` is an approver as `approve.by` names them: user:NAME, group:NAME, role:NAME.
bool names_approver(std::string_view who);

// Checks and completes inputs: defaults filled in, types, enum, min, max, pattern, max_length.
// Strings are read as the declared type where that is exact ("4" for an integer): inputs come from
// command lines too. Errors: invalid_input, one problem an input.
Result<Value> resolve_inputs(const std::vector<InputSpec>& specs, const Value& given);

}  // namespace mc::lang
