// Approvals over the API, for `approve`, `reject` and `exec`.
#pragma once

#include <string>
#include <vector>

#include "cli/server.h"

namespace mc::cli {

// Those of one run that wait for a decision.
Result<std::vector<Value>> waiting_approvals(Server& server, const std::string& run);
Result<Value> decide(Server& server, const std::string& approval, bool approve,
                     const std::string& comment);

}  // namespace mc::cli
