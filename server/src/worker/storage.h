// A task's files on their way to and from the server: artifacts and cache entries.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/worker_api.h"
#include "worker/task_run.h"

namespace mc::worker {

// Uploads what `patterns` (relative to the workspace) mean and notes it in run.artifacts. A
// single file travels as it is; a folder, a glob or several files as a tar.gz. An artifact of the
// same name of this attempt is replaced. Errors: not_found (nothing matches), others from reading
// or sending.
Result<ArtifactRef> upload(TaskRun& run, const std::string& name,
                           const std::vector<std::string>& patterns, Millis keep);
// Puts an artifact's files into `folder`. Errors: not_found, store_failed (wrong bytes), ….
Status download(TaskRun& run, const ArtifactRef& artifact, const std::string& folder);

// Errors: not_found (nothing matches `patterns`), others from reading or sending.
Status keep_in_cache(TaskRun& run, const std::string& key, const std::vector<std::string>& patterns,
                     client::CacheEntry entry);
// Unpacks an entry into the workspace.
Status restore_from_cache(TaskRun& run, const client::CacheEntry& entry);
// The server's scope for this task's cache keys.
std::string cache_scope(const TaskRun& run);

}  // namespace mc::worker
