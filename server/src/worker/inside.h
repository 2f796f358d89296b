// Files that a job could have put in the place of others: found below its folder, opened without
// waiting.
//
// A job may leave a link that leads elsewhere, a pipe or a device where Maestro expects a file.
// What is opened here is a regular file below `root`, also when the job goes on changing things
// meanwhile: otherwise a pipe would hold the worker beyond every time-out, and a link would carry
// what a sandbox or container keeps from the job out of it.
#pragma once

#include <string>

#include "base/error.h"
#include "base/file.h"

namespace mc::worker {

// `path`, relative to `root` or absolute, as an absolute path without links; its last parts need
// not exist. Errors: invalid_field (it leads out of root).
Result<std::string> resolve_inside(const std::string& root, const std::string& path);

// Opens what `path` names (links within root are followed) with open's `flags` and `mode`.
// Errors: not_found; invalid_field (it leads out of root, or is no regular file); store_failed.
Result<Fd> open_inside(const std::string& root, const std::string& path, int flags,
                       unsigned mode = 0644);

// A new file with this content, in the place of whatever the job left there.
// Errors: as of open_inside.
Status replace_inside(const std::string& root, const std::string& path, std::string_view bytes);

}  // namespace mc::worker
