// What `up` and `serve` have in common: a server's options from its settings.
#pragma once

#include <memory>
#include <string>

#include "bin/stack.h"
#include "config/settings.h"
#include "http/server.h"

namespace mc::bin {

// Where programs on this machine reach a server bound to `address`.
std::string local_url(const std::string& address);

http::ServerOptions server_options(const config::Settings& settings);
// Warns when others can reach it. Errors: unavailable: the address is taken; invalid_setting.
Result<std::unique_ptr<http::Server>> start_server(http::ServerOptions options,
                                                   http::Handler& handler);

// The store of blobs that the settings name; none: the disk.
std::optional<blob::S3Settings> s3_settings(const config::Settings& settings);
// Without the folder, the url and whose store it is.
StackOptions stack_options(const config::Settings& settings);

}  // namespace mc::bin
