// How a client reaches a server: over HTTP, or straight into the router in the same process
// (exec).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace mc::client {

struct Call {
  std::string method = "GET";
  std::string path;  // with query, already encoded: "/api/v1/runs?limit=5"
  std::string body;
  std::string body_file;         // sent instead of `body` when set
  std::int64_t body_offset = 0;  // where in the file it begins
  std::int64_t body_size = -1;   // how much of it from there; -1: the rest
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  Millis timeout{30'000};
  std::string save_to;  // the answer's body goes to this file when set
  // Called with pieces of the body as they come; returning false ends the call.
  std::function<bool(std::string_view)> on_data;
  std::stop_token stop;  // asked to stop: the call ends at once as unreachable
};

struct Answer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
};

// One per thread.
class Transport {
 public:
  virtual ~Transport() = default;
  // Errors: unreachable (nothing came back). An HTTP error status is an Answer.
  virtual Result<Answer> send(const Call& call) = 0;
};

}  // namespace mc::client
