// What can be known of a whole definition before it runs: cycles, and what expressions mention.
#pragma once

#include <vector>

#include "lang/reader.h"

namespace mc::lang {

// Reports cycles by their paths (a → b → a). Without recursion: chains are long.
void find_cycles(Reader& reader, const std::vector<RawJob>& jobs);

// Parses every template and condition, reports what is wrong with it, and fills in
// JobSpec::references. `spec` holds everything but the jobs.
void check_expressions(Reader& reader, const YamlNode& root, const WorkflowSpec& spec,
                       std::vector<RawJob>& jobs, std::vector<RawJob>& on_failure,
                       std::vector<RawJob>& finally);

// The same for one job alone (a worker's side): what other jobs and inputs there are is not known.
void check_job(Reader& reader, RawJob& job);

}  // namespace mc::lang
