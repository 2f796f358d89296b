// What verbs print of a run, in every format, and the exit codes that go with it.
#pragma once

#include <string>

#include "cli/follow.h"
#include "cli/session.h"

namespace mc::cli {

// A Run as it is now.
void print_run(Session& session, const Value& run);
// The table of a run's fields.
Table run_table(const Session& session, const Value& run);
// Columns of a list of runs.
std::vector<Column> run_columns(Instant now);
// The table of a run's jobs, with durations; `jobs` is {items}.
Table job_table(const Value& jobs, Instant now);

// Follow or wait, print what came of it, and return the exit code.
Result<int> follow_and_report(Session& session, const std::string& id, Millis timeout);
Result<int> wait_and_report(Session& session, const std::string& id, Millis timeout);

// The address of a run's page in the console.
std::string run_page(const Session& session, const std::string& id);

}  // namespace mc::cli
