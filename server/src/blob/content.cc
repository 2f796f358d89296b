#include "blob/content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/fault.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/uuid.h"

namespace mc::blob {
namespace {
namespace fs = std::filesystem;
constexpr std::string_view kPrefix = "sha256:";
constexpr std::size_t kHexDigits = 64;
// Longer than a request takes, even one that stands still; clocks of machines may differ.
constexpr Millis kLeftOver{6 * 3'600'000};
constexpr const char* kGoing = ".going";  // after the name of a blob that is about to be removed

std::string path_of(const std::string& folder, const std::string& hex) {
  return folder + "/blobs/sha256/" + hex.substr(0, 2) + "/" + hex;
}

Status sync_folder(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return os_error(Code::store_failed, "cannot sync " + path);
  return {};
}

// Brings back what remove_unused() has under its other name, which is left to it: a link is made,
// so that no name that somebody removes is ever the only one. False: there is none.
bool bring_back(const std::string& path) {
  const std::string going = path + kGoing;
  if (::link(going.c_str(), path.c_str()) == 0 || errno == EEXIST) return true;
  // A file system without links has none to lose.
  if (errno != ENOENT && ::rename(going.c_str(), path.c_str()) == 0) return true;
  return ::access(path.c_str(), F_OK) == 0;  // who was about to remove it was faster
}
}  // namespace

Instant time_of_change(const struct stat& info) {
  constexpr std::int64_t kMs = 1000;
  constexpr std::int64_t kNanos = 1'000'000;
  return {info.st_mtim.tv_sec * kMs + info.st_mtim.tv_nsec / kNanos};
}

// Nothing that is no digest becomes part of a path.
std::string hex_of_digest(std::string_view digest) {
  if (!digest.starts_with(kPrefix)) return {};
  const std::string_view hex = digest.substr(kPrefix.size());
  const bool good = hex.size() == kHexDigits && std::ranges::all_of(hex, [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  return good ? std::string(hex) : std::string();
}

class DiskUpload final : public BlobStore::Upload {
 public:
  DiskUpload(Content& content, std::string path, Fd fd)
      : content_(content), path_(std::move(path)), fd_(std::move(fd)) {}
  ~DiskUpload() override {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  Status write(std::string_view bytes) override {
    Status written = write_all(fd_.get(), bytes);
    if (written) hash_.update(bytes);
    return written;
  }

  Status finish(std::string_view expected_digest) override {
    const std::string hex = hash_.hex();
    if (expected_digest != std::string(kPrefix) + hex) {
      return Error{Code::invalid_field, "the bytes have the digest sha256:" + hex, {}};
    }
    if (const Status placed = content_.place(path_, fd_, hex); !placed) return placed;
    path_.clear();
    return {};
  }

 private:
  Content& content_;
  std::string path_;  // of the unfinished file; empty once it is in place
  Fd fd_;
  Sha256 hash_;
};

Status Content::prepare() {
  std::error_code failed;
  for (const char* name : {"/tmp", "/blobs/sha256", "/logs"}) {
    fs::create_directories(folder_ + name, failed);
    if (failed) {
      return Error{
          Code::data_folder, "cannot create " + folder_ + name + ": " + failed.message(), {}};
    }
  }
  drop_uploads(system_clock().now());
  return {};
}

void Content::drop_uploads(Instant before) const {
  const Instant limit = std::min(before, system_clock().now() - kLeftOver);
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder_ + "/tmp", failed)) {
    struct stat info{};
    if (::stat(entry.path().c_str(), &info) == 0 && time_of_change(info) < limit)
      ::unlink(entry.path().c_str());
  }
}

Status Content::place(const std::string& path, const Fd& fd, const std::string& hex) {
  if (touch(std::string(kPrefix) + hex)) {
    ::unlink(path.c_str());  // known already: this copy is dropped
    return {};
  }
  MC_FAULT_POINT("blob.written");
  if (::fdatasync(fd.get()) != 0) return os_error(Code::store_failed, "cannot sync an upload");
  const std::string shelf = folder_ + "/blobs/sha256/" + hex.substr(0, 2);
  const bool fresh = ::mkdir(shelf.c_str(), 0750) == 0;
  if (!fresh && errno != EEXIST) return os_error(Code::store_failed, "cannot create " + shelf);
  MC_FAULT_POINT("blob.before_rename");
  ::futimens(fd.get(), nullptr);  // its last part may have come long ago
  if (::rename(path.c_str(), path_of(folder_, hex).c_str()) != 0)
    return os_error(Code::store_failed, "cannot keep an upload");
  MC_FAULT_POINT("blob.after_rename");
  if (const Status synced = sync_folder(shelf); !synced) return synced;
  return fresh ? sync_folder(folder_ + "/blobs/sha256") : Status{};
}

// Others write there, too: other objects of this process, and processes of other machines.
std::string Content::new_path() const {
  Rng rng(random_seed());
  return folder_ + "/tmp/" + to_string(make_uuid(system_clock().now(), rng));
}

Result<std::unique_ptr<BlobStore::Upload>> Content::begin_upload() {
  const std::string path = new_path();
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!fd) return os_error(Code::store_failed, "cannot create " + path);
  return std::unique_ptr<BlobStore::Upload>(
      std::make_unique<DiskUpload>(*this, path, std::move(fd)));
}

Result<BlobStore::File> Content::open(std::string_view digest) const {
  const std::string hex = hex_of_digest(digest);
  struct stat info{};
  const std::string path = hex.empty() ? std::string() : path_of(folder_, hex);
  const auto is_there = [&] { return ::stat(path.c_str(), &info) == 0; };
  if (hex.empty() || (!is_there() && (!bring_back(path) || !is_there()))) {
    return Error{Code::not_found, "there is no blob " + std::string(digest.substr(0, 100)), {}};
  }
  return BlobStore::File{path, info.st_size};
}

Status Content::remove(std::string_view digest) const {
  const std::string hex = hex_of_digest(digest);
  if (!hex.empty() && ::unlink(path_of(folder_, hex).c_str()) != 0 && errno != ENOENT) {
    return os_error(Code::store_failed, "cannot remove a blob");
  }
  return {};
}

// The mark comes before the last look: who removes renames first and looks at the mark then, so one
// of both sees the other.
bool Content::touch(std::string_view digest) {
  const std::string hex = hex_of_digest(digest);
  if (hex.empty()) return false;
  const std::string path = path_of(folder_, hex);
  constexpr int kLooks = 3;
  for (int look = 0; look < kLooks; ++look) {
    // What may only be read is there all the same.
    const bool marked = ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0 || errno != ENOENT;
    if (marked && ::access(path.c_str(), F_OK) == 0) return true;
    if (!bring_back(path)) return false;
  }
  return false;
}

std::vector<Content::Stored> Content::list(const std::string& shelf) const {
  std::vector<Stored> all;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder_ + "/blobs/sha256/" + shelf, failed)) {
    Stored stored{.digest = std::string(kPrefix) + entry.path().filename().string()};
    struct stat info{};
    if (hex_of_digest(stored.digest).empty() || ::stat(entry.path().c_str(), &info) != 0) continue;
    stored.size = info.st_size;
    stored.used = time_of_change(info);
    all.push_back(std::move(stored));
  }
  std::ranges::sort(all, {}, &Stored::digest);
  return all;
}

std::vector<std::string> Content::shelves() const {
  std::vector<std::string> all;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder_ + "/blobs/sha256", failed))
    all.push_back(entry.path().filename().string());
  std::ranges::sort(all);
  return all;
}

std::vector<Content::Stored> Content::list() const {
  std::vector<Stored> all;
  for (const std::string& shelf : shelves())
    std::ranges::move(list(shelf), std::back_inserter(all));
  return all;
}

Result<std::vector<std::string>> Content::list_unused(Instant before, std::string_view after,
                                                      int limit) const {
  const std::string from = hex_of_digest(after).substr(0, 2);
  std::vector<std::string> out;
  for (const std::string& shelf : shelves()) {
    if (shelf < from) continue;
    mend(shelf);
    for (Stored& stored : list(shelf)) {
      if (static_cast<int>(out.size()) >= limit) return out;
      if (stored.used < before && stored.digest > after) out.push_back(std::move(stored.digest));
    }
  }
  return out;
}

// No lock of ours is known to those who use this folder from elsewhere. Under its other name the
// blob is given to nobody: a use that came before shows in its age, one that comes now brings it
// back.
Result<bool> Content::remove_unused(std::string_view digest, Instant before) {
  const std::string hex = hex_of_digest(digest);
  if (hex.empty()) return false;
  const std::string path = path_of(folder_, hex);
  const std::string going = path + kGoing;
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0 || time_of_change(info) >= before) return false;
  if (::rename(path.c_str(), going.c_str()) != 0) {
    if (errno == ENOENT) return false;
    return os_error(Code::store_failed, "cannot remove a blob");
  }
  // Opened, so that NFS asks for its age anew.
  const Fd fd(::open(going.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return false;
  const bool unused = fd && ::fstat(fd.get(), &info) == 0 && time_of_change(info) < before;
  if (!unused && !bring_back(path)) return os_error(Code::store_failed, "cannot keep a blob");
  if (::unlink(going.c_str()) != 0 && errno != ENOENT)
    return os_error(Code::store_failed, "cannot remove a blob");
  return ::access(path.c_str(), F_OK) != 0;
}

// What a crash left under its other name.
void Content::mend(const std::string& shelf) const {
  const std::string folder = folder_ + "/blobs/sha256/" + shelf + "/";
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    if (entry.path().extension() != kGoing) continue;
    if (bring_back(folder + entry.path().stem().string())) ::unlink(entry.path().c_str());
  }
}

}  // namespace mc::blob
