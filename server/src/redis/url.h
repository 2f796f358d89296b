// Where Redis is and who asks, as REDIS_URL says it:
//   redis://[USER:PASSWORD@]HOST[:PORT][/DB]         (port 6379, database 0)
//   rediss://…[?ca=FILE][&cert=FILE&key=FILE]        TLS; `ca`: trusted instead of the system's
//   redis+unix://[USER:PASSWORD@]/PATH[?db=DB]       a socket of this machine
// USER may be empty. %XX in user, password, path and files stands for the byte. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace mc::redis {

struct Place {
  std::string host;  // a name or an address, without brackets; empty: a socket
  std::string port = "6379";
  std::string socket;  // its path
  bool has_password = false;
  std::string user;  // empty: Redis' user `default`
  std::string password;
  int database = 0;
  bool tls = false;
  std::string ca_file, certificate_file, key_file;

  // "rediss://10.0.0.7:6379/2": for people, without user and password.
  std::string shown() const;
};

// Errors: invalid_setting: what is wrong and how to mend it; never repeats any part of the URL but
// its scheme and the names of its parameters.
Result<Place> parse_url(std::string_view url);

}  // namespace mc::redis
