#include "worker/globs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "worker/inside.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;

// `pattern` relative to the root, without "./" and a final "/". Errors: invalid_field.
Result<std::string> normal(const std::string& root, std::string pattern) {
  if (pattern.starts_with(root + "/")) pattern.erase(0, root.size() + 1);
  if (pattern == root) pattern = ".";
  while (pattern.starts_with("./")) pattern.erase(0, 2);
  while (pattern.size() > 1 && pattern.ends_with('/')) pattern.pop_back();
  const auto parts = split(pattern, '/');
  if (pattern.starts_with('/') || std::ranges::find(parts, "..") != parts.end()) {
    return Error{Code::invalid_field, "the path " + pattern + " leads out of the workspace", {}};
  }
  return pattern.empty() ? "." : pattern;
}

// The folders before the first part with a wildcard: where looking begins.
std::string literal_part(const std::string& pattern) {
  const std::size_t wild = pattern.find_first_of("*?[");
  if (wild == std::string::npos) return pattern;
  const std::size_t slash = pattern.rfind('/', wild);
  return slash == std::string::npos ? "." : pattern.substr(0, slash);
}

Status walk(const fs::path& root, const std::string& pattern, std::set<std::string>& found) {
  const bool wild = pattern.find_first_of("*?[") != std::string::npos;
  const std::string literal = literal_part(pattern);
  const fs::path start = root / literal;
  std::error_code failed;
  const fs::file_type named = fs::symlink_status(start, failed).type();
  if (named == fs::file_type::none || named == fs::file_type::not_found) return {};
  const fs::file_type kind = fs::status(start, failed).type();
  // A link so named stands for the folder it leads to; as a file among others it stays a link.
  const bool through = kind == fs::file_type::directory || literal.find('/') != std::string::npos;
  if (const auto inside = resolve_inside(root.string(), literal); through && !inside.ok())
    return inside.error();
  if (kind != fs::file_type::directory) {
    const bool taken = named == fs::file_type::regular || named == fs::file_type::symlink;
    if (taken && !wild) found.insert(fs::path(pattern).lexically_normal().string());
    return {};
  }
  const bool git_named = pattern.find(".git") != std::string::npos;
  fs::recursive_directory_iterator it(start, fs::directory_options::skip_permission_denied, failed);
  for (; !failed && it != fs::recursive_directory_iterator(); it.increment(failed)) {
    std::error_code unknown;
    const fs::file_type type = it->symlink_status(unknown).type();
    if (type == fs::file_type::directory) {
      if (!git_named && it->path().filename() == ".git") it.disable_recursion_pending();
      // A wildcard that matches a folder means all in it.
      continue;
    }
    if (type != fs::file_type::regular && type != fs::file_type::symlink) continue;
    const std::string path = it->path().lexically_relative(root).lexically_normal().string();
    bool matches = !wild || glob_match(pattern, path);
    for (std::size_t slash = path.find('/'); !matches && slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      matches = glob_match(pattern, path.substr(0, slash));
    }
    if (!matches) continue;
    found.insert(path);
    if (found.size() > kGlobFilesMax) {
      return Error{Code::limit_exceeded, "more than 1,000,000 files match " + pattern, {}};
    }
  }
  return {};
}

Status hash_content(const Fd& fd, const fs::path& path, Sha256& hash) {
  std::string buffer(256 << 10, '\0');
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_error(Code::store_failed, "cannot read " + path.string());
    if (n == 0) return {};
    hash.update(std::string_view(buffer).substr(0, static_cast<std::size_t>(n)));
  }
}

Status hash_one(const std::string& root, const std::string& file, Sha256& hash) {
  const fs::path path = fs::path(root) / file;
  std::error_code failed;
  if (fs::is_symlink(path, failed)) {
    hash.update(fs::read_symlink(path, failed).string());
    return {};
  }
  const auto fd = open_inside(root, file, O_RDONLY);
  return fd.ok() ? hash_content(*fd, path, hash) : Status(fd.error());
}
}  // namespace

Result<std::vector<std::string>> find_files(const std::string& root,
                                            const std::vector<std::string>& patterns) {
  std::set<std::string> found;
  for (const std::string& given : patterns) {
    const bool takes_away = given.starts_with('!');
    const auto pattern = normal(root, std::string(trim(takes_away ? given.substr(1) : given)));
    if (!pattern.ok()) return pattern.error();
    std::set<std::string> matches;
    if (const Status walked = walk(root, *pattern, matches); !walked) return walked.error();
    if (takes_away) {
      for (const std::string& path : matches) found.erase(path);
    } else {
      found.merge(matches);
    }
  }
  return std::vector<std::string>(found.begin(), found.end());
}

Result<std::string> hash_files(const std::string& root, const std::vector<std::string>& patterns) {
  const auto files = find_files(root, patterns);
  if (!files.ok()) return files.error();
  Sha256 all;
  for (const std::string& file : *files) {
    Sha256 one;
    if (const Status hashed = hash_one(root, file, one); !hashed) return hashed.error();
    const bool executable = ::access((root + "/" + file).c_str(), X_OK) == 0;
    all.update(file);
    all.update(std::string_view(executable ? "\0x" : "\0-", 2));
    all.update(one.hex());
  }
  return all.hex();
}

Result<std::string> digest_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    return os_error(errno == ENOENT ? Code::not_found : Code::store_failed, "cannot read " + path);
  Sha256 hash;
  if (const Status hashed = hash_content(fd, path, hash); !hashed) return hashed.error();
  return "sha256:" + hash.hex();
}

}  // namespace mc::worker
