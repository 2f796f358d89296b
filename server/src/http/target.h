// Request targets: "/api/v1/runs?limit=5" into a decoded path and query. Pure; fuzzed.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/message.h"

namespace mc::http {

// Decodes %XX (and '+' as a space in queries). Errors: malformed_request.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space);

// Fills target, path and query. The path is decoded first and then freed of dot segments, so that
// an encoded "%2e%2e%2f" is seen for what it is. Errors: malformed_request: absolute form, bytes
// that are not visible ASCII, bad percent-encoding, control characters or bad UTF-8 once decoded,
// ".." above the root, more than kQueryPairsMax pairs.
Status read_target(std::string_view target, Request& into);

inline constexpr std::size_t kQueryPairsMax = 256;

}  // namespace mc::http
