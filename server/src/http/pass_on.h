// The head of a request as the server gets it that the request is passed on to. Pure; fuzzed
// (request_fuzz.cc).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace mc::http {

// `head` with `added` before the client's headers, and "Connection: close" in place of what the
// client said of the connection; all else is as it came. Control characters in `added` become
// spaces. Requires: RequestReader has taken `head`, whole.
std::string pass_on(std::string_view head, const std::vector<Header>& added);

}  // namespace mc::http
