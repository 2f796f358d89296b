// What an error of Redis means for us: wait, or mend a setting. Pure. The server's own words are
// not repeated but for their first one: they may hold what was sent to it.
#pragma once

#include <string_view>

#include "base/error.h"
#include "redis/resp.h"
#include "redis/url.h"

namespace mc::redis {

// The error for an answer to HELLO, SELECT or a command. Errors: invalid_setting: it stays so until
// somebody mends something, which the message says; store_failed: the server is there and takes no
// writes now (full, a replica, loading); unreachable: anything else that may pass.
// Requires: reply.is_error().
Error refusal(const Reply& reply, const Place& place);

// The lines of an access list that let a user do what we do.
inline constexpr std::string_view kAccessList =
    "ACL SETUSER NAME on >PASSWORD ~maestro:* +select +eval +evalsha +get +set +time";

}  // namespace mc::redis
