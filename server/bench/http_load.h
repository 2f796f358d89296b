// A closed loop of HTTP requests: each connection sends its next request when the answer to the
// last one is there. One thread with epoll, so that the load leaves the processors to the server.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace mc::bench {

struct LoadPlan {
  std::vector<int> ports;  // on 127.0.0.1, dealt out to the connections in turn
  int connections = 1;
  int requests = 0;  // over all connections
  // The bytes of request number i.
  std::function<std::string(int i)> request;
  int status = 200;  // that every answer must have
};

struct Load {
  double seconds = 0;
  std::vector<double> ms;  // of each exchange
  double rate() const { return static_cast<double>(ms.size()) / seconds; }
};

std::string get_request(std::string_view path, std::string_view token);
std::string post_request(std::string_view path, std::string_view token, std::string_view body);

// Errors: unavailable: refused, or answered otherwise than planned (with the answer).
Result<Load> run_load(const LoadPlan& plan);

}  // namespace mc::bench
