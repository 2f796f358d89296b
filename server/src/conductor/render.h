// Runs and events as the API shows them: JSON texts made from the engine's state. Pure.
#pragma once

#include <string>

#include "db/store.h"
#include "engine/state.h"

namespace mc::conductor {

// A run is `waiting` when nothing of it runs and something waits for a person, a lock or a time.
RunStatus shown_status(const engine::RunState& run);
std::string run_json(const engine::RunState& run);
std::string run_etag(const engine::RunState& run);
// The row that lists show; its `json` is run_json.
db::RunRow run_row(const engine::RunState& run);
// `json`, as run_json wrote it, with the time that a run which is not over has taken until `now`.
std::string with_time_taken(std::string json, Instant now);
// steps, approve, wait, workflow, or compensate.
std::string_view kind_of(const engine::JobState& job);
std::string job_json(const engine::RunState& run, const engine::JobState& job, Instant now);
std::string jobs_json(const engine::RunState& run, Instant now);
std::string graph_json(const engine::RunState& run);
// `keep`: how long artifacts are kept that do not say themselves.
std::string artifacts_json(const engine::RunState& run, Millis keep);
// {items} with each approval of the run of this status ("" for all; see fits_status).
std::string approvals_json(const engine::RunState& run, const std::string& status);
// Whether an approval is listed for `status`: its own, `decided` for all but `waiting`, or "".
bool fits_status(const engine::JobState& job, const std::string& status);
// The approval of a job that has one.
std::string approval_json(const engine::RunState& run, const engine::JobState& job);
// {seq, type, time, data}; `data` names run, job, attempt, status and reason where they apply.
std::string event_json(Uuid run, const Event& event);

}  // namespace mc::conductor
