#include "blob/parts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"

namespace mc::blob {
namespace {
namespace fs = std::filesystem;

// Empty: the key names no blob.
std::string name_of(const PartsKey& key) {
  const std::string hex = hex_of_digest(key.digest);
  if (hex.empty()) return hex;
  return to_string(key.run) + "." + std::to_string(key.node) + "." + std::to_string(key.attempt) +
         "." + hex;
}

Error stands_at(std::int64_t bytes) {
  return {Code::conflict, "the upload stands at " + std::to_string(bytes) + " bytes", {}};
}

Status write_at(const Fd& fd, std::string_view bytes, std::int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd.get(), bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return os_error(Code::store_failed, "cannot keep a part of an upload");
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += n;
  }
  return {};
}

struct Found {
  std::string name;
  std::int64_t bytes = 0;  // of the disk
  Instant used;
};

// The longest unused first.
std::vector<Found> look(const std::string& folder) {
  std::vector<Found> all;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    struct stat info{};
    if (::stat(entry.path().c_str(), &info) != 0) continue;
    constexpr std::int64_t kBlock = 512;
    all.push_back(
        {entry.path().filename().string(), info.st_blocks * kBlock, time_of_change(info)});
  }
  std::ranges::sort(all, {}, &Found::used);
  return all;
}
}  // namespace

struct Parts::Unfinished {
  std::mutex mutex;         // guards what follows, and the file
  std::int64_t end = 0;     // so many bytes have arrived
  std::int64_t hashed = 0;  // so many of them are in `hash`
  std::uint64_t turn = 0;   // of the part that may write
  bool over = false;        // there is no such file any more
  Sha256 hash;
};

// One request's part. Another request for the same upload takes its turn away.
class DiskPart final : public BlobStore::Part {
 public:
  // Requires: the upload's mutex.
  DiskPart(Parts& parts, std::string name, Parts::UnfinishedPtr upload, Fd fd, std::int64_t size)
      : parts_(parts),
        name_(std::move(name)),
        upload_(std::move(upload)),
        fd_(std::move(fd)),
        turn_(upload_->turn),
        size_(size) {}

  // Requires: the mutex. So that a disk without room for all of it says so before it is sent.
  Status reserve() {
    if (::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, std::max<std::int64_t>(size_, 1)) == 0 ||
        (errno != ENOSPC && errno != EDQUOT && errno != EFBIG))
      return {};
    Error full = os_error(Code::store_failed, "cannot keep an upload");
    give_up();
    return full;
  }

  // Requires: the mutex. What arrived before a restart is read again.
  Status catch_up() {
    constexpr std::int64_t kPiece = 1 << 20;
    std::string piece;
    while (upload_->hashed < upload_->end) {
      piece.resize(static_cast<std::size_t>(std::min(kPiece, upload_->end - upload_->hashed)));
      const ssize_t n = ::pread(fd_.get(), piece.data(), piece.size(), upload_->hashed);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return os_error(Code::store_failed, "cannot read an upload");
      upload_->hash.update(std::string_view(piece).substr(0, static_cast<std::size_t>(n)));
      upload_->hashed += n;
    }
    return {};
  }

  Status write(std::string_view bytes) override {
    const std::scoped_lock lock(upload_->mutex);
    if (const Status mine = check_turn(); !mine) return mine;
    if (static_cast<std::int64_t>(bytes.size()) > size_ - upload_->end)
      return Error{Code::invalid_field, "the part goes beyond the upload's length", {}};
    if (Status written = write_at(fd_, bytes, upload_->end); !written) {
      give_up();  // a full disk needs the room more than it needs half an upload
      return written;
    }
    upload_->hash.update(bytes);
    upload_->end += static_cast<std::int64_t>(bytes.size());
    upload_->hashed = upload_->end;
    return {};
  }

  Result<std::int64_t> finish() override {
    const std::scoped_lock lock(upload_->mutex);
    if (const Status mine = check_turn(); !mine) return mine.error();
    // Each part by itself: the sender goes no faster than the disk, and the last part waits no
    // longer than the first.
    if (::fdatasync(fd_.get()) != 0) return os_error(Code::store_failed, "cannot sync an upload");
    if (upload_->end < size_) return upload_->end;
    const std::string hex = upload_->hash.hex();
    upload_->hash = {};  // read again if this must be tried again
    upload_->hashed = 0;
    if (!name_.ends_with(hex)) {
      give_up();
      return Error{Code::invalid_field, "the bytes have the digest sha256:" + hex, {}};
    }
    // Under a name that nobody else knows: the file that has this one may be another by now.
    const std::string path = parts_.path_of(name_);
    const std::string whole = parts_.content_.new_path();
    if (!is_mine(path) || ::rename(path.c_str(), whole.c_str()) != 0) return lost();
    if (!is_mine(whole)) {
      ::unlink(whole.c_str());
      return lost();
    }
    const Status placed = parts_.content_.place(whole, fd_, hex);
    // Under its name somebody may have begun anew.
    const bool back = !placed && ::link(whole.c_str(), path.c_str()) == 0;
    if (!placed) ::unlink(whole.c_str());
    if (!back) give_up();
    return placed ? Result<std::int64_t>(size_) : placed.error();
  }

 private:
  Status check_turn() const {
    if (!upload_->over && upload_->turn == turn_) return {};
    return Error{Code::conflict, "another request went on with this upload", {}};
  }
  bool is_mine(const std::string& path) const {
    struct stat named{};
    struct stat held{};
    return ::stat(path.c_str(), &named) == 0 && ::fstat(fd_.get(), &held) == 0 &&
           named.st_ino == held.st_ino && named.st_dev == held.st_dev;
  }
  // Requires: the mutex. Somebody else on this folder took it for forgotten.
  Error lost() {
    give_up();
    return {Code::store_failed, "an upload has vanished from the disk", {}};
  }
  // Requires: the mutex. The file, where it still is, goes.
  void give_up() {
    upload_->over = true;
    if (const std::string path = parts_.path_of(name_); is_mine(path)) ::unlink(path.c_str());
    parts_.forget(name_, upload_);
  }

  Parts& parts_;
  const std::string name_;
  const Parts::UnfinishedPtr upload_;
  const Fd fd_;
  const std::uint64_t turn_;
  const std::int64_t size_;
};

Status Parts::prepare() {
  std::error_code failed;
  fs::create_directories(folder_ + "/parts", failed);
  if (!failed) return {};
  return Error{Code::data_folder, "cannot create " + folder_ + "/parts: " + failed.message(), {}};
}

Parts::UnfinishedPtr Parts::find(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  struct stat info{};
  const bool there = ::stat(path_of(name).c_str(), &info) == 0;
  // Somebody else on this folder may have made room, or dropped what was forgotten.
  if (!there) uploads_.erase(name);
  if (const auto known = uploads_.find(name); known != uploads_.end()) return known->second;
  if (!there) return nullptr;
  auto upload = std::make_shared<Unfinished>();
  upload->end = info.st_size;
  uploads_[name] = upload;
  return upload;
}

Result<Parts::UnfinishedPtr> Parts::begin(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  if (const Status room = make_room(system_clock().now()); !room) return room.error();
  const Fd fd(::open(path_of(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
  if (!fd) return os_error(Code::store_failed, "cannot create " + path_of(name));
  UnfinishedPtr& upload = uploads_[name];
  if (!upload) upload = std::make_shared<Unfinished>();
  return upload;
}

std::int64_t Parts::arrived(const PartsKey& key) {
  const std::string name = name_of(key);
  const UnfinishedPtr upload = name.empty() ? nullptr : find(name);
  if (!upload) return 0;
  const std::scoped_lock lock(upload->mutex);
  ++upload->turn;
  return upload->over ? 0 : upload->end;
}

Result<std::unique_ptr<BlobStore::Part>> Parts::resume(const PartsKey& key, std::int64_t offset,
                                                       std::int64_t size) {
  const std::string name = name_of(key);
  if (name.empty()) return Error{Code::invalid_field, "this is no digest", {}};
  UnfinishedPtr upload = find(name);
  const bool fresh = !upload;
  if (fresh && offset != 0) return stands_at(0);
  if (fresh) {
    auto begun = begin(name);
    if (!begun) return begun.error();
    upload = std::move(*begun);
  }
  const std::scoped_lock lock(upload->mutex);
  ++upload->turn;
  if (upload->over) return stands_at(0);
  if (upload->end != offset) return stands_at(upload->end);
  Fd fd(::open(path_of(name).c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return os_error(Code::store_failed, "cannot go on with an upload");
  auto part = std::make_unique<DiskPart>(*this, name, upload, std::move(fd), size);
  if (fresh) {
    if (Status has_room = part->reserve(); !has_room) return has_room.error();
  }
  if (Status read = part->catch_up(); !read) return read.error();
  return std::unique_ptr<BlobStore::Part>(std::move(part));
}

Status Parts::make_room(Instant now) {
  const std::vector<Found> all = look(folder_ + "/parts");
  std::size_t count = all.size();
  std::int64_t bytes = 0;
  for (const Found& each : all) bytes += each.bytes;
  for (const Found& each : all) {
    if (count < kUploadsMax && bytes < kBytesMax) return {};
    if (each.used > now - kIdle || !remove(each.name)) continue;
    --count;
    bytes -= each.bytes;
  }
  if (count < kUploadsMax && bytes < kBytesMax) return {};
  return Error{Code::overloaded, "too many unfinished uploads: try again later", {}};
}

// Requires: mutex_. False: a part of it is under way.
bool Parts::remove(const std::string& name) {
  const auto known = uploads_.find(name);
  if (known != uploads_.end() && known->second.use_count() > 1) return false;
  if (known != uploads_.end()) uploads_.erase(known);
  return ::unlink(path_of(name).c_str()) == 0;
}

void Parts::forget(const std::string& name, const UnfinishedPtr& upload) {
  const std::scoped_lock lock(mutex_);
  const auto known = uploads_.find(name);
  if (known != uploads_.end() && known->second == upload) uploads_.erase(known);
}

Status Parts::drop(Instant before) {
  const std::scoped_lock lock(mutex_);
  const Instant limit = std::max(before, system_clock().now() - kForgotten);
  for (const Found& each : look(folder_ + "/parts")) {
    if (each.used >= limit) break;
    if (remove(each.name)) log_info("an upload that broke off was dropped", {{"file", each.name}});
  }
  return {};
}

}  // namespace mc::blob
