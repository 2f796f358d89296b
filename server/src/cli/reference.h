// How people name a run: its id, a unique prefix of it (4 characters or more), `#12`, `@latest`,
// `@latest:WORKFLOW`, or the address of its page in the console.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cli/server.h"

namespace mc::cli {

struct RunReference {
  enum class Kind : std::uint8_t { id, prefix, number, latest } kind = Kind::id;
  std::string text;  // id or prefix, lower case; latest: the workflow, or empty
  std::int64_t number = 0;
  std::string job;  // from RUN/JOB or a job's address; empty: none
};

// `with_job`: also takes RUN/JOB. Errors: usage.
Result<RunReference> parse_reference(std::string_view text, bool with_job = false);

struct FoundRun {
  std::string id;
  std::string job;
};
// The run it names. Prefixes and numbers are looked for among the newest kRunsSearchedMax runs.
// Errors: usage; run_not_found; conflict when a prefix names several.
Result<FoundRun> find_run(Server& server, std::string_view text, bool with_job = false);

inline constexpr int kRunsSearchedMax = 2'000;

// "/api/v1/runs/<id>".
std::string run_path(const std::string& id);
// "/api/v1/runs/<id>/jobs/<key>".
std::string job_path(const std::string& id, const std::string& key);

}  // namespace mc::cli
