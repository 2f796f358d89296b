// HOST:PORT, as listeners and tunnels take it.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "base/error.h"

namespace mc::http {

// HOST is numeric, or "localhost"; IPv6 in brackets. Errors: invalid_setting.
Result<boost::asio::ip::tcp::endpoint> read_address(const std::string& text);
std::string show_address(const boost::asio::ip::tcp::endpoint& at);

}  // namespace mc::http
