// Which files of a workspace a list of globs means.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace mc::worker {

inline constexpr std::size_t kGlobFilesMax = 1'000'000;

// Paths of files and symbolic links relative to `root`, sorted, each once. A pattern that names a
// folder means all in it; one that begins with "!" takes matches away again. `.git` is entered
// only when a pattern names it. Errors: invalid_field (a path outside `root`), limit_exceeded.
Result<std::vector<std::string>> find_files(const std::string& root,
                                            const std::vector<std::string>& patterns);

// Hex SHA-256 over names, modes (executable or not) and contents of the files that match.
// Errors: as find_files, store_failed.
Result<std::string> hash_files(const std::string& root, const std::vector<std::string>& patterns);

// "sha256:…" of a file's bytes. Errors: not_found, store_failed.
Result<std::string> digest_file(const std::string& path);

}  // namespace mc::worker
