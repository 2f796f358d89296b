// A definition cut down to some of its jobs: for `exec --job`.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace mc::cli {

// The same definition with only the jobs of `keys`, without run outputs and without what follows the
// graph (on_failure, finally stay out). Requires: `text` is a valid definition. Errors: usage.
Result<std::string> narrowed(const std::string& text, const std::vector<std::string>& keys);

}  // namespace mc::cli
