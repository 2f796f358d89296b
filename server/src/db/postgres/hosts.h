// The servers that a url names.
#pragma once

#include <string>
#include <vector>

namespace mc::db::pg {

struct Host {
  std::string name, port;  // libpq's `host` and `port`; both empty: as the url says
};

// In their order. One that names a single server, or its servers by hostaddr, is libpq's to read:
// then there is one Host, empty. Requires: check_url(url).
std::vector<Host> hosts_of(const std::string& url);

}  // namespace mc::db::pg
