#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

#include "base/json.h"
#include "base/text.h"
#include "bin/data_folder.h"
#include "bin/doctor.h"
#include "cli/target.h"
#include "db/sqlite/sqlite_store.h"

namespace mc::bin {
namespace {

using cli::DoctorLine;

constexpr std::int64_t kSpaceFail = 100LL << 20;
constexpr std::int64_t kSpaceWarn = 2LL << 30;
constexpr std::int64_t kWalWarn = 256LL << 20;
constexpr mode_t kOthersMask = S_IRWXG | S_IRWXO;

DoctorLine folder_line(const std::string& data) {
  struct stat info{};
  if (::stat(data.c_str(), &info) != 0)
    return {"warn", "data folder", data + " does not exist yet", "`maestro up` makes it"};
  if (!S_ISDIR(info.st_mode))
    return {"fail", "data folder", data + " is no folder", "give another with --data"};
  if (::access(data.c_str(), W_OK | X_OK) != 0)
    return {"fail", "data folder", data + " cannot be written", "chown it to who runs maestro"};
  if ((info.st_mode & kOthersMask) != 0)
    return {"warn", "data folder", data + " is open to others", "chmod 0700 " + data};
  return {"ok", "data folder", data, ""};
}

DoctorLine space_line(const std::string& data) {
  std::filesystem::path at(data);
  std::error_code ignored;
  while (!std::filesystem::exists(at, ignored) && at.has_parent_path() && at != at.parent_path())
    at = at.parent_path();
  struct statvfs info{};
  if (::statvfs(at.c_str(), &info) != 0) return {"warn", "disk space", "unknown", ""};
  const auto left =
      static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize);
  const std::string text = format_size(left) + " left";
  if (left < kSpaceFail)
    return {"fail", "disk space", text, "make room: writes are refused when the disk is full"};
  if (left < kSpaceWarn) return {"warn", "disk space", text, "make room soon"};
  return {"ok", "disk space", text, ""};
}

void token_line(const std::string& data, std::vector<DoctorLine>& lines) {
  const std::string path = data + "/" + cli::kAdminTokenFile;
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    lines.push_back({"warn", "admin token", "none", "`maestro up` makes it at the first start"});
  } else if ((info.st_mode & kOthersMask) != 0) {
    lines.push_back({"fail", "admin token", path + " can be read by others",
                     "chmod 0600 " + path + ", then revoke it if others have access here"});
  } else {
    lines.push_back({"ok", "admin token", path, ""});
  }
}

// Secrets are lost without the key they were sealed with.
void key_line(const std::string& data, std::vector<DoctorLine>& lines) {
  const std::string path = data + "/" + kSecretKeyFile;
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) {
    if ((info.st_mode & kOthersMask) == 0) return lines.push_back({"ok", "secret key", path, ""});
    return lines.push_back(
        {"fail", "secret key", path + " can be read by others", "chmod 0600 " + path});
  }
  std::error_code ignored;
  if (!std::filesystem::exists(data + "/maestro.db", ignored)) return;
  lines.push_back({"fail", "secret key", path + " is missing: no stored secret can be read",
                   "put it back from a backup before the next start, which makes a new one; or "
                   "start, and set each secret again"});
}

void wal_line(const std::string& data, std::vector<DoctorLine>& lines) {
  std::error_code ignored;
  std::int64_t size = 0;
  for (std::filesystem::directory_iterator at(data, ignored), end; at != end && !ignored;
       at.increment(ignored)) {
    if (at->path().extension() != ".db-wal" && !at->path().string().ends_with("-wal")) continue;
    struct stat info{};
    if (::stat(at->path().c_str(), &info) == 0) size = static_cast<std::int64_t>(info.st_size);
  }
  if (size > kWalWarn) {
    lines.push_back({"warn", "write-ahead log", format_size(size),
                     "a reader holds it open, or the server cannot keep up: restart it when idle"});
  } else {
    lines.push_back({"ok", "write-ahead log", format_size(size), ""});
  }
}

// Whether the server that server.json names answers.
DoctorLine server_line(const std::string& data, const cli::Doors& doors, bool* running) {
  const Result<std::string> text = cli::read_file(data + "/" + cli::kServerFile);
  const Result<Value> server = text.ok() ? parse_json(*text) : Result<Value>(Value(Object{}));
  const std::string url = server.ok() ? server->string_or("url", "") : "";
  *running = false;
  if (url.empty()) return {"ok", "server", "none is running here", ""};
  client::Call call;
  call.path = "/readyz";
  call.timeout = Millis(3'000);
  const Result<client::Answer> answer = doors.connect(url, "")->send(call);
  if (!answer.ok()) return {"warn", "server", url + " does not answer", "`maestro up` starts it"};
  *running = true;
  if (answer->status != 200)
    return {"fail", "server", url + " is not ready (" + std::to_string(answer->status) + ")",
            "curl " + url + "/readyz says why"};
  return {"ok", "server", url, ""};
}

void store_lines(const std::string& data, bool running, std::vector<DoctorLine>& lines) {
  std::error_code ignored;
  if (!std::filesystem::exists(data + "/maestro.db", ignored)) {
    lines.push_back({"warn", "database", "none yet", "`maestro up` makes it"});
    return;
  }
  const Result<std::vector<std::string>> wrong = db::check_sqlite(data);
  if (!wrong.ok()) {
    lines.push_back({"fail", "database", wrong.error().message, ""});
  } else if (!wrong->empty()) {
    lines.push_back({"fail", "database", join(*wrong, "; "), "restore the last backup"});
  } else {
    lines.push_back({"ok", "database", "every page and index is sound", ""});
  }
  if (running) return;  // it holds the folder, and checked the schema when it started
  const Result<db::SchemaStatus> status = db::migrate_status(data);
  if (!status.ok()) {
    lines.push_back({"fail", "schema", status.error().message, ""});
  } else if (!status->usable) {
    lines.push_back({"fail", "schema", "version " + std::to_string(status->schema),
                     "only a newer maestro can work on it: use that one"});
  } else if (status->schema < status->wanted) {
    lines.push_back({"warn", "schema", "version " + std::to_string(status->schema),
                     "`maestro migrate up` brings it to " + std::to_string(status->wanted)});
  } else {
    lines.push_back({"ok", "schema", "version " + std::to_string(status->schema), ""});
  }
}

}  // namespace

std::vector<DoctorLine> check_data(const std::string& data, const cli::Doors& doors) {
  std::vector<DoctorLine> lines = {folder_line(data), space_line(data)};
  std::error_code ignored;
  if (!std::filesystem::is_directory(data, ignored)) return lines;
  token_line(data, lines);
  key_line(data, lines);
  wal_line(data, lines);
  bool running = false;
  lines.push_back(server_line(data, doors, &running));
  store_lines(data, running, lines);
  return lines;
}

}  // namespace mc::bin
