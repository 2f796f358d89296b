// Errors as answers: RFC 9457 problem documents.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/message.h"

namespace mc::http {

// {type, title, status, detail, code, request_id, errors?}; 429 and 503 get a Retry-After of a
// second.
Response problem(const Error& error, std::string_view request_id);

}  // namespace mc::http
