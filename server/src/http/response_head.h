// The head of a response as bytes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace mc::http {

struct HeadFacts {
  std::string_view request_id;
  std::string_view date;  // IMF-fixdate
  bool keep_alive = true;
  bool chunked = false;
  std::optional<std::uint64_t> content_length;
};

// Names and values come from handlers: control characters in them become spaces, so that no value
// can begin a header of its own.
std::string encode_head(const Response& response, const HeadFacts& facts);

// A line of a head. Control characters become spaces.
void append_header(std::string& out, std::string_view name, std::string_view value);

// 204, 304 and 1xx never have a body.
inline bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

// [A-Za-z0-9._-]{1,64}: what is taken over from a client's X-Request-Id.
bool is_request_id(std::string_view text);

// "Mon, 23 Nov 2026 19:01:35 GMT".
std::string http_date(std::int64_t unix_seconds);

}  // namespace mc::http
