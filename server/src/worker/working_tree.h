// The working tree that `exec` runs in: what `checkout` copies and `plan` hashes.
#pragma once

#include <string>
#include <vector>

namespace mc::worker {

// Whether `folder` lies in a Git working tree.
bool is_in_git(const std::string& folder);
// A command that copies the files as git sees them: tracked ones, as they are, and new ones that
// are not ignored. Wants FROM and TO in its environment.
std::vector<std::string> copy_tree_command();

}  // namespace mc::worker
