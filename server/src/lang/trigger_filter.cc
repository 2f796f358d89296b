#include "lang/trigger_filter.h"

#include <algorithm>

#include "base/text.h"

namespace mc::lang {
namespace {
bool in_list(const std::vector<std::string>& patterns, const std::string& text) {
  bool in = false;
  for (const std::string& pattern : patterns) {
    const bool taken_back = pattern.starts_with('!');
    if (glob_match(taken_back ? pattern.substr(1) : pattern, text)) in = !taken_back;
  }
  return in;
}

bool takes_ref(const PushTrigger& trigger, const RefChange& change) {
  const bool by_branch = !trigger.branches.empty() || !trigger.branches_ignore.empty();
  if (!change.tag.empty())
    return trigger.tags.empty() ? !by_branch : in_list(trigger.tags, change.tag);
  if (!by_branch) return trigger.tags.empty();
  const bool wanted = trigger.branches.empty() || in_list(trigger.branches, change.branch);
  return wanted && !in_list(trigger.branches_ignore, change.branch);
}

bool takes_paths(const PushTrigger& trigger, const RefChange& change) {
  if (!change.tag.empty() || !change.paths_known) return true;
  if (trigger.paths.empty() && trigger.paths_ignore.empty()) return true;
  return std::any_of(change.paths.begin(), change.paths.end(), [&](const std::string& path) {
    return (trigger.paths.empty() || in_list(trigger.paths, path)) &&
           !in_list(trigger.paths_ignore, path);
  });
}
}  // namespace

bool takes_change(const PushTrigger& trigger, const RefChange& change) {
  return takes_ref(trigger, change) && takes_paths(trigger, change);
}
}  // namespace mc::lang
