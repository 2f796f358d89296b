#include "http/address.h"

#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace mc::http {
using boost::asio::ip::tcp;

Result<tcp::endpoint> read_address(const std::string& text) {
  const Error wrong{Code::invalid_setting,
                    "the address must be HOST:PORT with a numeric HOST, not \"" + text + "\"",
                    {}};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + colon + 1, end, port);
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  if (error || read.ec != std::errc{} || read.ptr != end) return wrong;
  return tcp::endpoint(address, port);
}

std::string show_address(const tcp::endpoint& at) {
  const std::string host = at.address().to_string();
  return (at.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(at.port());
}

}  // namespace mc::http
