// Definitions that come over the wire: read with care for the server's memory, refused with every
// problem.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "lang/parse.h"

namespace mc::api {

// lang::parse_workflow, after which what a large text took is given back to the machine: the
// allocator would keep the most that hostile definitions ever took, once a thread.
// Thread: the pool's.
lang::Parsed parse_definition(const std::string& text, const lang::ParseOptions& options = {});

// Requires: errors are not empty.
Error bad_definition(const std::vector<Problem>& errors);

}  // namespace mc::api
