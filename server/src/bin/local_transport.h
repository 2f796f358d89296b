// Calls straight into a request handler in the same process: how `exec` reaches its own server.
#pragma once

#include <memory>
#include <string>

#include "client/transport.h"
#include "http/server.h"

namespace mc::bin {

// `handler` must outlive the transport and everything it was asked. `token` goes with every call.
std::unique_ptr<client::Transport> connect_locally(http::Handler& handler, std::string token);

}  // namespace mc::bin
