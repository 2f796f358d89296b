#include "bin/data_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/json.h"
#include "base/text.h"
#include "cli/io.h"
#include "cli/target.h"

namespace mc::bin {

namespace {
Error unusable(const std::string& path, std::string_view what, int reason) {
  const std::string why = std::generic_category().message(reason);
  std::string mend = "give another folder with --data";
  if (reason == EROFS) mend = "mount it writable, or " + mend;
  if (reason == EACCES) mend = "chown it to who runs maestro, or " + mend;
  if (reason == ENOSPC || reason == EDQUOT) mend = "make room, or " + mend;
  return {Code::data_folder, fmt::format("{} {}: {}; {}", path, what, why, mend), {}};
}
}  // namespace

Status make_data_folder(const std::string& path) {
  if (path.empty()) return Error{Code::data_folder, "the data folder has no name: give --data", {}};
  std::error_code problem;
  const std::filesystem::path parent = std::filesystem::absolute(path, problem).parent_path();
  std::filesystem::create_directories(parent, problem);
  if (problem) return unusable(parent.string(), "cannot be made", problem.value());
  if (::mkdir(path.c_str(), S_IRWXU) == 0) return {};
  const int reason = errno;
  struct stat info{};
  if (reason == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    if (::access(path.c_str(), R_OK | W_OK | X_OK) == 0) return {};
    return unusable(path, "cannot be written", errno);
  }
  if (reason == EEXIST) return unusable(path, "is no folder", ENOTDIR);
  return unusable(path, "cannot be made", reason);
}

Result<std::string> read_private(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name;
  if (::access(path.c_str(), F_OK) != 0) return std::string();
  Result<std::string> text = cli::read_file(path);
  if (!text.ok()) return Error{Code::data_folder, text.error().message, {}};
  return std::string(trim(*text));
}

Status write_private(const std::string& folder, const std::string& name, std::string_view text) {
  Status written = cli::write_file(folder + "/" + name, std::string(text) + "\n", true);
  if (!written.ok()) return Error{Code::data_folder, written.error().message, {}};
  return {};
}

Status write_server_file(const std::string& folder, const std::string& url) {
  JsonWriter out;
  out.open('{').field("url", url).field("pid", static_cast<std::int64_t>(::getpid())).close('}');
  Status written = cli::write_file(folder + "/" + cli::kServerFile, out.text() + "\n", false);
  if (!written.ok()) return Error{Code::data_folder, written.error().message, {}};
  return {};
}

void remove_server_file(const std::string& folder) {
  ::unlink((folder + "/" + cli::kServerFile).c_str());
}

}  // namespace mc::bin
