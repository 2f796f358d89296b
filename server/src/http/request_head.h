// From the bytes of a head to a Request that can be trusted: what Beast's parser lets through and we
// do not. Pure; fuzzed.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>

#include "base/error.h"
#include "http/message.h"

namespace mc::http {

// Decodes %XX (and '+' as a space in queries). Errors: malformed_request.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space);
// Splits and decodes a request target into path and query; refuses absolute form, bytes that are not
// visible ASCII, NUL, and dot segments. Errors: malformed_request.
Status read_target(std::string_view target, Request& into);
// Errors: malformed_request: missing or repeated Host, Transfer-Encoding other than chunked, or with
// HTTP/1.0.
Result<Request> read_head(const boost::beast::http::request_header<>& head);

}  // namespace mc::http
