#include "worker/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/text.h"
#include "worker/inside.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;
constexpr std::size_t kBlock = 256 << 10;

using Writer = std::unique_ptr<struct archive, int (*)(struct archive*)>;
using Entry = std::unique_ptr<struct archive_entry, void (*)(struct archive_entry*)>;

Error failed(Code code, const std::string& what, struct archive* from) {
  const char* text = ::archive_error_string(from);
  return {code, what + (text == nullptr ? "" : ": " + std::string(text)), {}};
}

Status copy_file(const std::string& root, const std::string& path, std::int64_t size,
                 struct archive* to) {
  const auto fd = open_inside(root, path, O_RDONLY);
  if (!fd.ok()) return fd.error();
  std::string buffer(kBlock, '\0');
  // Exactly as many bytes as the header says, also when the file changes meanwhile.
  for (std::int64_t left = size; left > 0;) {
    const ssize_t n =
        ::read(fd->get(), buffer.data(), std::min(buffer.size(), static_cast<std::size_t>(left)));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error{Code::store_failed, path + " changed while it was packed", {}};
    if (::archive_write_data(to, buffer.data(), static_cast<std::size_t>(n)) < 0)
      return failed(Code::store_failed, "cannot pack", to);
    left -= n;
  }
  return {};
}

Status pack_one(const std::string& root, const std::string& file, struct archive* to) {
  const std::string path = root + "/" + file;
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return os_error(Code::store_failed, "cannot read " + path);
  const Entry entry(::archive_entry_new(), ::archive_entry_free);
  ::archive_entry_set_pathname(entry.get(), file.c_str());
  ::archive_entry_set_mode(entry.get(), info.st_mode);
  ::archive_entry_set_mtime(entry.get(), 0, 0);
  const bool link = S_ISLNK(info.st_mode);
  if (link) {
    std::error_code unknown;
    ::archive_entry_set_symlink(entry.get(), fs::read_symlink(path, unknown).c_str());
  } else {
    ::archive_entry_set_size(entry.get(), info.st_size);
  }
  if (::archive_write_header(to, entry.get()) != ARCHIVE_OK)
    return failed(Code::store_failed, "cannot pack " + file, to);
  return link ? Status() : copy_file(root, path, info.st_size, to);
}

bool stays_inside(const char* name) {
  if (name == nullptr || *name == '\0' || *name == '/') return false;
  const auto parts = split(name, '/');
  return std::ranges::find(parts, "..") == parts.end();
}

Status copy_entry(struct archive* from, struct archive* to) {
  const void* block = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  for (;;) {
    const int got = ::archive_read_data_block(from, &block, &size, &offset);
    if (got == ARCHIVE_EOF) return {};
    if (got < ARCHIVE_OK) return failed(Code::invalid_field, "cannot unpack", from);
    if (::archive_write_data_block(to, block, size, offset) < ARCHIVE_OK)
      return failed(Code::store_failed, "cannot unpack", to);
  }
}

// Moves an entry's names below `root`. False: it may not be unpacked.
bool place(struct archive_entry* entry, const std::string& root) {
  const auto type = ::archive_entry_filetype(entry);
  if (type != AE_IFREG && type != AE_IFLNK && type != AE_IFDIR) return false;
  if (!stays_inside(::archive_entry_pathname(entry))) return false;
  const std::string path = root + "/" + ::archive_entry_pathname(entry);
  ::archive_entry_set_pathname(entry, path.c_str());
  if (const char* target = ::archive_entry_hardlink(entry); target != nullptr) {
    if (!stays_inside(target)) return false;
    const std::string inside = root + "/" + target;
    ::archive_entry_set_hardlink(entry, inside.c_str());
  }
  return true;
}
}  // namespace

Status pack(const std::string& root, const std::vector<std::string>& files,
            const std::string& target) {
  const Writer out(::archive_write_new(), ::archive_write_free);
  ::archive_write_set_format_pax_restricted(out.get());
  ::archive_write_add_filter_gzip(out.get());
  // Level 1: cache entries are written far more often than read. No time stamp: same files, same
  // bytes.
  if (::archive_write_set_options(out.get(), "gzip:compression-level=1,gzip:!timestamp") !=
          ARCHIVE_OK ||
      ::archive_write_open_filename(out.get(), target.c_str()) != ARCHIVE_OK) {
    return failed(Code::store_failed, "cannot write " + target, out.get());
  }
  for (const std::string& file : files) {
    if (Status packed = pack_one(root, file, out.get()); !packed) return packed;
  }
  if (::archive_write_close(out.get()) != ARCHIVE_OK)
    return failed(Code::store_failed, "cannot write " + target, out.get());
  return {};
}

Status unpack(const std::string& source, const std::string& root) {
  std::error_code unknown;
  fs::create_directories(root, unknown);
  const std::string inside = fs::canonical(root, unknown).string();
  if (unknown) return Error{Code::store_failed, "cannot unpack into " + root, {}};
  const Writer in(::archive_read_new(), ::archive_read_free);
  ::archive_read_support_format_tar(in.get());
  ::archive_read_support_filter_gzip(in.get());
  if (::archive_read_open_filename(in.get(), source.c_str(), kBlock) != ARCHIVE_OK) {
    return failed(Code::invalid_field, "cannot read the archive", in.get());
  }
  const Writer out(::archive_write_disk_new(), ::archive_write_free);
  ::archive_write_disk_set_options(out.get(), ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_UNLINK |
                                                  ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                                                  ARCHIVE_EXTRACT_SECURE_NODOTDOT);
  struct archive_entry* entry = nullptr;
  for (;;) {
    const int got = ::archive_read_next_header(in.get(), &entry);
    if (got == ARCHIVE_EOF) return {};
    if (got < ARCHIVE_WARN) return failed(Code::invalid_field, "cannot read the archive", in.get());
    if (!place(entry, inside))
      return Error{Code::invalid_field, "the archive holds something that may not be unpacked", {}};
    ::archive_entry_unset_mtime(entry);
    if (::archive_write_header(out.get(), entry) < ARCHIVE_WARN)
      return failed(Code::store_failed, "cannot unpack", out.get());
    if (::archive_entry_size(entry) > 0) {
      if (Status copied = copy_entry(in.get(), out.get()); !copied) return copied;
    }
    if (::archive_write_finish_entry(out.get()) < ARCHIVE_WARN)
      return failed(Code::store_failed, "cannot unpack", out.get());
  }
}

}  // namespace mc::worker
