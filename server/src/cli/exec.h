// `maestro exec`: a whole server in this process, one run, its result.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/value.h"
#include "cli/doors.h"
#include "cli/verb.h"
#include "model/workflow.h"

namespace mc::cli {

Result<int> exec_file(Session& session, const Args& args);

// Where `exec` keeps what it made, and the working tree it takes: this folder.
LocalOptions local_place(const Io& io);

// What `exec -o json` prints: {status, jobs: {key: {status, exit_code, outputs, attempts}},
// outputs, duration_ms}, where `attempts` counts them. `jobs` is GET …/jobs.
Value exec_result(const Value& run, const Value& jobs);

// The keys of `job` and of everything it needs. Errors: usage, with "did you mean".
Result<std::vector<std::string>> job_with_needs(const WorkflowSpec& spec, const std::string& job);

}  // namespace mc::cli
