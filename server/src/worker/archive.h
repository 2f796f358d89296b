// Sets of files as one file (tar, gzip) and back.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace mc::worker {

// Packs `files` (relative to `root`) into `target`. The same files give the same bytes: no times,
// no owners. Errors: store_failed.
Status pack(const std::string& root, const std::vector<std::string>& files,
            const std::string& target);

// Unpacks into the folder `root`. Entries that would land outside, devices and the like are
// refused; file times are those of unpacking. Errors: invalid_field (not such a file),
// store_failed.
Status unpack(const std::string& source, const std::string& root);

}  // namespace mc::worker
