// What can be known of a whole definition before it runs: cycles, and what expressions mention.
#pragma once

#include <vector>

#include "lang/reader.h"

namespace mc::lang {

// Reports one cycle by its path (a → b → a). Without recursion: chains are long.
void find_cycle(Reader& reader, const std::vector<RawJob>& jobs);

// Parses every template and condition, reports what is wrong with it, and fills in
// JobSpec::references. `spec` holds everything but the jobs.
void check_expressions(Reader& reader, const YamlNode& root, const WorkflowSpec& spec,
                       std::vector<RawJob>& jobs, std::vector<RawJob>& on_failure,
                       std::vector<RawJob>& finally);

}  // namespace mc::lang
