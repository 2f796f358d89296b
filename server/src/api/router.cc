#include <algorithm>

#include "api/route.h"
#include "base/text.h"
#include "http/target.h"

namespace mc::api {
namespace {
using Segments = std::vector<std::string>;

Segments segments_of(std::string_view path) {
  Segments parts = split(path, '/');
  if (!parts.empty() && parts.front().empty()) parts.erase(parts.begin());
  if (parts.size() > 1 && parts.back().empty()) parts.pop_back();
  return parts;
}

const std::vector<Segments>& patterns() {
  static const std::vector<Segments> kPatterns = [] {
    std::vector<Segments> all;
    for (const Route& route : routes()) all.push_back(segments_of(route.pattern));
    return all;
  }();
  return kPatterns;
}

bool fits(const Segments& pattern, const Segments& path, std::vector<std::string>& params) {
  if (pattern.size() != path.size()) return false;
  params.clear();
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!pattern[i].starts_with('{')) {
      if (pattern[i] != path[i]) return false;
    } else if (path[i].empty()) {
      return false;
    } else {
      params.push_back(path[i]);
    }
  }
  return true;
}
}  // namespace

Match match(std::string_view method, std::string_view target) {
  Match found;
  found.index = routes().size();
  Segments path = segments_of(target.substr(0, target.find('?')));
  for (std::string& segment : path) {
    Result<std::string> decoded = http::percent_decode(segment, false);
    if (!decoded || find_invalid_utf8(*decoded)) return found;
    segment = std::move(*decoded);
  }
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  std::vector<std::string> params;
  for (std::size_t i = 0; i < routes().size(); ++i) {
    const Route& route = routes()[i];
    if (!fits(patterns()[i], path, params)) continue;
    const bool known =
        std::find(found.allowed.begin(), found.allowed.end(), route.method) != found.allowed.end();
    if (!known) found.allowed.emplace_back(route.method);
    if (route.permission == auth::Permission::open) found.open = true;
    if (found.route == nullptr && route.method == wanted) {
      found.route = &route;
      found.index = i;
      found.params = params;
    }
  }
  if (std::find(found.allowed.begin(), found.allowed.end(), "GET") != found.allowed.end())
    found.allowed.emplace_back("HEAD");
  return found;
}
}  // namespace mc::api
