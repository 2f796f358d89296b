#include "worker/storage.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "worker/archive.h"
#include "worker/globs.h"
#include "worker/inside.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;
constexpr const char* kPackedType = "application/gzip";
constexpr std::string_view kPlainType = "application/octet-stream; name=";

// A file of ours, where the job cannot put another in its place; gone with the object.
class Scratch {
 public:
  Scratch(Workspace& workspace, const char* name) : path_(workspace.own() + "/" + name) {
    std::error_code shows_when_used;
    fs::create_directories(workspace.own(), shows_when_used);
  }
  ~Scratch() { ::unlink(path_.c_str()); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Sent {
  std::string digest;
  std::int64_t size = 0;
};
Result<Sent> send_blob(TaskRun& run, const std::string& path) {
  const auto digest = digest_file(path);
  if (!digest.ok()) return digest.error();
  std::error_code unknown;
  const auto size = static_cast<std::int64_t>(fs::file_size(path, unknown));
  if (Status sent = run.api().put_blob(run.hold(), *digest, path); !sent) return sent.error();
  return Sent{*digest, size};
}

Status fetch_blob(TaskRun& run, const std::string& digest, const std::string& path) {
  if (Status got = run.api().get_blob(run.hold(), digest, path); !got) return got;
  const auto found = digest_file(path);
  if (!found.ok()) return found.error();
  if (*found == digest) return {};
  return Error{Code::store_failed, "the server sent bytes that are not " + digest, {}};
}

Result<std::vector<std::string>> matching(TaskRun& run, const std::vector<std::string>& patterns) {
  const auto workspace = run.workspace();
  if (!workspace.ok()) return workspace.error();
  auto files = find_files((*workspace)->files(), patterns);
  if (files.ok() && files->empty()) {
    std::string what;
    for (const std::string& pattern : patterns) what += (what.empty() ? "" : ", ") + pattern;
    return Error{Code::not_found, "no file matches " + what, {}};
  }
  return files;
}

// Where tar names begin: a single folder's files are named from within it.
std::string base_of(const std::string& root, const std::vector<std::string>& patterns) {
  if (patterns.size() != 1 || patterns[0].find_first_of("*?[!") != std::string::npos) return {};
  std::string folder = fs::path(patterns[0]).lexically_normal().string();
  while (folder.ends_with('/')) folder.pop_back();
  std::error_code unknown;
  return fs::is_directory(fs::path(root) / folder, unknown) && folder != "." ? folder
                                                                             : std::string();
}

// One file called by its name; a link so called stands for the file it leads to.
bool is_single(const std::string& root, const std::vector<std::string>& patterns,
               const std::vector<std::string>& files) {
  if (files.size() != 1 || patterns.size() != 1) return false;
  std::error_code unknown;
  return fs::is_regular_file(fs::path(root) / files[0], unknown) &&
         fs::path(patterns[0]).lexically_normal() == fs::path(files[0]);
}
}  // namespace

Result<ArtifactRef> upload(TaskRun& run, const std::string& name,
                           const std::vector<std::string>& patterns, Millis keep) {
  if (name.empty() || name.size() > 255 || name.find_first_of("/\\\n") != std::string::npos) {
    return Error{Code::invalid_field, "`" + name + "` is no name for an artifact", {}};
  }
  auto files = matching(run, patterns);
  if (!files.ok()) return files.error();
  Workspace& workspace = **run.workspace();
  const std::string root = workspace.files();
  ArtifactRef artifact{
      .name = name, .digest = {}, .media_type = kPackedType, .keep_ms = keep.count()};
  const Scratch packed(workspace, "upload.tar.gz");
  std::string path = packed.path();
  Fd single;
  if (is_single(root, patterns, *files)) {
    auto opened = open_inside(root, files->front(), O_RDONLY);
    if (!opened.ok()) return opened.error();
    single = std::move(*opened);
    path = "/proc/self/fd/" + std::to_string(single.get());  // this file, whatever becomes of names
    artifact.media_type =
        std::string(kPlainType) + "\"" + fs::path(files->front()).filename().string() + "\"";
  } else {
    const std::string base = base_of(root, patterns);
    if (!base.empty()) {
      for (std::string& file : *files) file.erase(0, base.size() + 1);
    }
    if (Status made = pack(base.empty() ? root : root + "/" + base, *files, path); !made)
      return made.error();
  }
  const auto sent = send_blob(run, path);
  if (!sent.ok()) return sent.error();
  artifact.digest = sent->digest;
  artifact.size = sent->size;
  std::erase_if(run.artifacts, [&](const ArtifactRef& known) { return known.name == name; });
  run.artifacts.push_back(artifact);
  return artifact;
}

Status download(TaskRun& run, const ArtifactRef& artifact, const std::string& folder) {
  const auto workspace = run.workspace();
  if (!workspace.ok()) return workspace.error();
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed)
    return Error{Code::store_failed, "cannot create " + folder + ": " + failed.message(), {}};
  if (artifact.media_type == kPackedType) {
    const Scratch packed(**workspace, "download.tar.gz");
    if (Status got = fetch_blob(run, artifact.digest, packed.path()); !got) return got;
    return unpack(packed.path(), folder);
  }
  std::string file = artifact.name;
  if (artifact.media_type.starts_with(kPlainType)) {
    const std::string given = artifact.media_type.substr(kPlainType.size() + 1);
    // Only a bare name is taken from what came over the network.
    file = fs::path(given.substr(0, given.rfind('"'))).filename().string();
  }
  if (file.empty() || file == "." || file == "..") file = "artifact";
  const Scratch whole(**workspace, "download");
  if (Status got = fetch_blob(run, artifact.digest, whole.path()); !got) return got;
  // Takes the place of a link, instead of writing through it.
  fs::rename(whole.path(), folder + "/" + file, failed);
  if (!failed) return {};
  return Error{
      Code::store_failed, "cannot create " + folder + "/" + file + ": " + failed.message(), {}};
}

Status keep_in_cache(TaskRun& run, const std::string& key, const std::vector<std::string>& patterns,
                     client::CacheEntry entry) {
  const auto files = matching(run, patterns);
  if (!files.ok() && !patterns.empty()) return files.error();
  Workspace& workspace = **run.workspace();
  const Scratch packed(workspace, "cache.tar.gz");
  if (Status made =
          pack(workspace.files(), files.ok() ? *files : std::vector<std::string>(), packed.path());
      !made)
    return made;
  const auto sent = send_blob(run, packed.path());
  if (!sent.ok()) return sent.error();
  entry.digest = sent->digest;
  entry.size = sent->size;
  return run.api().cache_put(run.hold(), cache_scope(run), key, entry);
}

Status restore_from_cache(TaskRun& run, const client::CacheEntry& entry) {
  const auto workspace = run.workspace();
  if (!workspace.ok()) return workspace.error();
  const Scratch packed(**workspace, "restore.tar.gz");
  if (Status got = fetch_blob(run, entry.digest, packed.path()); !got) return got;
  return unpack(packed.path(), (*workspace)->files());
}

std::string cache_scope(const TaskRun& run) {
  return run.spec().string_or("cache_scope", "default");
}

}  // namespace mc::worker
