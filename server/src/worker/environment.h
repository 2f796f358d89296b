// The environment of a job's processes (docs/reference/jobs-environment.md).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/value.h"

namespace mc::worker {

// Names and values; setting again replaces.
class Environment {
 public:
  void set(const std::string& name, std::string value) { values_[name] = std::move(value); }
  void set_all(const Environment& other) {
    for (const auto& [name, value] : other.values_) values_[name] = value;
  }
  // The value, or "" when there is none.
  std::string get(const std::string& name) const;
  std::vector<std::string> list() const;  // "NAME=value"
  std::vector<std::string> names() const;
  Value object() const;
  bool operator==(const Environment&) const = default;

 private:
  std::map<std::string, std::string> values_;
};

// What a job sees of the worker's own environment: PATH HOME USER LANG LC_* TZ and `pass`.
Environment inherited(const std::vector<std::string>& own, const std::vector<std::string>& pass);

}  // namespace mc::worker
