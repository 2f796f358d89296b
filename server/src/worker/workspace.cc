#include "worker/workspace.h"

#include <filesystem>
#include <utility>

#include "base/sha256.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;
// Short, for programs that keep sockets in their folders: a socket's path has at most 107 bytes.
constexpr std::size_t kNameDigits = 12;

void make_writable(const fs::path& folder) {
  std::error_code ignored;
  fs::permissions(folder, fs::perms::owner_all, fs::perm_options::add | fs::perm_options::nofollow,
                  ignored);
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    std::error_code unknown;
    if (it->symlink_status(unknown).type() == fs::file_type::directory) make_writable(it->path());
  }
}
}  // namespace

Result<Workspace> Workspace::create(const std::string& data, const std::string& task_id) {
  Workspace made(data + "/work/" + sha256_hex(task_id).substr(0, kNameDigits));
  for (const std::string& folder : {made.folder(), made.own()}) {
    if (const Status clean = remove_tree(folder); !clean) return clean.error();
  }
  std::error_code failed;
  fs::create_directories(made.folder(), failed);
  for (const std::string& folder : {made.files(), made.temp(), made.exchange(), made.artifacts()}) {
    if (!failed) fs::create_directory(folder, failed);
    if (failed)
      return Error{Code::store_failed, "cannot create " + folder + ": " + failed.message(), {}};
  }
  return made;
}

Workspace::Workspace(Workspace&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}

Workspace::~Workspace() {
  // What cannot be removed now is removed by the sweep at the next start.
  if (folder_.empty()) return;
  static_cast<void>(remove_tree(folder_).ok());
  static_cast<void>(remove_tree(own()).ok());
}

Status remove_tree(const std::string& path) {
  std::error_code failed;
  fs::remove_all(path, failed);
  if (!failed) return {};
  make_writable(path);
  fs::remove_all(path, failed);
  if (failed)
    return Error{Code::store_failed, "cannot remove " + path + ": " + failed.message(), {}};
  return {};
}

void sweep_workspaces(const std::string& data) {
  std::error_code failed;
  for (fs::directory_iterator it(data + "/work", failed), end; !failed && it != end;
       it.increment(failed)) {
    if (!remove_tree(it->path().string())) continue;
  }
}

}  // namespace mc::worker
