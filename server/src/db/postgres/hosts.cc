#include "db/postgres/hosts.h"

#include <libpq-fe.h>

#include <memory>
#include <string_view>

#include "base/text.h"

namespace mc::db::pg {
namespace {

struct Free {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

std::vector<std::string> list_of(const PQconninfoOption* options, std::string_view name) {
  for (; options != nullptr && options->keyword != nullptr; ++options) {
    if (options->keyword == name && options->val != nullptr) return split(options->val, ',');
  }
  return {};
}

}  // namespace

std::vector<Host> hosts_of(const std::string& url) {
  const std::unique_ptr<PQconninfoOption, Free> options(PQconninfoParse(url.c_str(), nullptr));
  const std::vector<std::string> names = list_of(options.get(), "host");
  const std::vector<std::string> ports = list_of(options.get(), "port");
  if (names.size() < 2 || !list_of(options.get(), "hostaddr").empty()) return {{}};
  // libpq refuses, in its own words, what has another number of ports.
  if (ports.size() > 1 && ports.size() != names.size()) return {{}};
  std::vector<Host> hosts;
  for (std::size_t i = 0; i < names.size(); ++i)
    hosts.push_back({names[i], ports.empty() ? "" : ports[ports.size() == 1 ? 0 : i]});
  return hosts;
}

}  // namespace mc::db::pg
