// The transport over HTTP.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/transport.h"

namespace mc::client {

struct HttpOptions {
  std::vector<std::string> urls;  // of servers of one cluster: "http://127.0.0.1:4000"
  std::string token;              // sent as "Authorization: Bearer"; empty: none
  std::string ca_pem;             // trusted in place of the system's authorities; empty: those
};

// Calls go to the server that answered last. When it cannot be reached, or serves nobody (503), the
// others are tried, once each and only for calls that may be repeated: GET, HEAD and PUT, the
// worker protocol (but no part of an upload), and those with an Idempotency-Key. Requires: a url.
std::unique_ptr<Transport> connect_http(HttpOptions options);

// For addresses outside: Call::path is a whole URL, no token is sent.
std::unique_ptr<Transport> connect_web(bool block_private_addresses);

}  // namespace mc::client
