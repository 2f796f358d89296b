// Where the calls of a worker go, as the API has them (api/routes.cc).
#pragma once

#include <string_view>

namespace mc::cluster {

inline constexpr std::string_view kRegister = "/api/v1/worker/register";
inline constexpr std::string_view kPoll = "/api/v1/worker/poll";
inline constexpr std::string_view kHeartbeat = "/api/v1/worker/heartbeat";
inline constexpr std::string_view kComplete = "/api/v1/worker/complete";

}  // namespace mc::cluster
