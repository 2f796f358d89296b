#include "worker/environment.h"

#include <algorithm>
#include <array>

namespace mc::worker {
namespace {
constexpr std::array<std::string_view, 5> kPassed{"PATH", "HOME", "USER", "LANG", "TZ"};
constexpr const char* kUsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}  // namespace

std::string Environment::get(const std::string& name) const {
  const auto at = values_.find(name);
  return at == values_.end() ? std::string() : at->second;
}

std::vector<std::string> Environment::list() const {
  std::vector<std::string> out;
  out.reserve(values_.size());
  for (const auto& [name, value] : values_) out.push_back(name + "=" + value);
  return out;
}

std::vector<std::string> Environment::names() const {
  std::vector<std::string> out;
  for (const auto& [name, value] : values_) out.push_back(name);
  return out;
}

Value Environment::object() const {
  Object out;
  for (const auto& [name, value] : values_) out.emplace_back(name, value);
  return Value(std::move(out));
}

Environment inherited(const std::vector<std::string>& own, const std::vector<std::string>& pass) {
  Environment out;
  out.set("PATH", kUsualPath);
  for (const std::string& variable : own) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = variable.substr(0, equals);
    const bool passed = std::ranges::find(kPassed, name) != kPassed.end() ||
                        name.starts_with("LC_") || std::ranges::find(pass, name) != pass.end();
    if (passed) out.set(name, variable.substr(equals + 1));
  }
  return out;
}

}  // namespace mc::worker
