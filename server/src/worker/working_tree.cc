#include "worker/working_tree.h"

#include <filesystem>

namespace mc::worker {
namespace {
namespace fs = std::filesystem;

// Files deleted but not committed are listed too: tar passes over them.
constexpr const char* kCopyScript =
    "git -C \"$FROM\" ls-files -z --cached --others --exclude-standard | "
    "tar -C \"$FROM\" --null --no-recursion --ignore-failed-read --warning=no-failed-read -T - -cf "
    "- | "
    "tar -C \"$TO\" -xf -";
}  // namespace

bool is_in_git(const std::string& folder) {
  std::error_code failed;
  if (fs::exists(fs::path(folder) / ".git", failed)) return true;
  for (fs::path up = folder; up.has_relative_path(); up = up.parent_path()) {
    if (fs::exists(up / ".git", failed)) return true;
  }
  return false;
}

std::vector<std::string> copy_tree_command() {
  return {"bash", "-euo", "pipefail", "-c", kCopyScript};
}
}  // namespace mc::worker
