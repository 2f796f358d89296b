// What a TLS connection to Redis trusts, and what went wrong when it did not. Only connection.cc
// and tls.cc know OpenSSL. One owner.
#pragma once

#include <boost/asio/ssl.hpp>
#include <string>

#include "base/error.h"
#include "redis/url.h"

namespace mc::redis {

// TLS 1.2 or newer; the peer's certificate is verified against the place's `ca` or the system's
// authorities; shows the place's certificate when it has one. Errors: invalid_setting: a file
// cannot be read or is not what it should be.
Status set_trust(const Place& place, boost::asio::ssl::context& trust);

// Before the handshake: the certificate has to be for the place's host.
void expect_host(const Place& place, SSL* connection);

// Whether TLS itself failed, rather than the connection below it: a setting is wrong.
bool is_tls_trouble(const boost::system::error_code& error);
// What to mend. Requires: is_tls_trouble(error).
std::string tls_trouble(const boost::system::error_code& error, SSL* connection);

}  // namespace mc::redis
