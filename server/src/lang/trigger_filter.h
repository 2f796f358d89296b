// Whether `on: {push: …}` and `on: {pull_request: …}` take what a forge tells. Pure.
#pragma once

#include <string>
#include <vector>

#include "model/workflow.h"

namespace mc::lang {

// What changed in a repository: exactly one of branch and tag is set. For a pull request, the
// branch is the one it wants to get into.
struct RefChange {
  std::string branch;
  std::string tag;
  // Changed files; not known when the forge does not tell: then filters by path take it, since a
  // run too many does less harm than a run too few.
  std::vector<std::string> paths;
  bool paths_known = false;
};

// As GitHub Actions: a list is read in order and `!pattern` takes a match back; without a filter
// for branches or tags all of both are taken, with one for either only what it names. Paths do not
// matter for tags.
bool takes_change(const PushTrigger& trigger, const RefChange& change);

}  // namespace mc::lang
