// Blobs by digest: `folder`/blobs/sha256/ab/abcd…, written in `folder`/tmp and moved into place
// when their bytes are on the disk.
//
// Several may have one folder open at once, also on several machines: nothing that is kept in
// memory guards a file. What touch() finds stays: who removes renames first, to ….going, and looks
// at the age then. On NFS this holds as far as its clients look up names anew.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "blob/blob_store.h"

namespace mc::blob {

Instant time_of_change(const struct stat& info);

// Threads: any.
class Content {
 public:
  explicit Content(std::string folder) : folder_(std::move(folder)) {}
  // Makes the folders and removes what broken uploads left long ago. Errors: data_folder.
  Status prepare();

  Result<std::unique_ptr<BlobStore::Upload>> begin_upload();
  // In the same file system as the blobs; nobody else has it.
  std::string new_path() const;
  // Moves the file at `path`, open as `fd` and with the digest `hex`, to its place, durably; drops
  // it when the blob is known. Requires: the same file system.
  Status place(const std::string& path, const Fd& fd, const std::string& hex);
  bool has(std::string_view digest) { return touch(digest); }
  Result<BlobStore::File> open(std::string_view digest) const;
  Status remove(std::string_view digest) const;
  // As BlobStore has them. The time of last use is the file's time of change.
  Result<std::vector<std::string>> list_unused(Instant before, std::string_view after,
                                               int limit) const;
  Result<bool> remove_unused(std::string_view digest, Instant before);
  // Removes what uploads that broke off before `before` left, and not in the last hours.
  void drop_uploads(Instant before) const;
  // False: there is no such blob.
  bool touch(std::string_view digest);

  struct Stored {
    std::string digest;
    std::int64_t size = 0;
    Instant used;
  };
  // A shelf has the blobs whose digests begin with the same two digits.
  std::vector<std::string> shelves() const;
  // Those of one shelf, or all; in order.
  std::vector<Stored> list(const std::string& shelf) const;
  std::vector<Stored> list() const;

 private:
  friend class DiskUpload;
  void mend(const std::string& shelf) const;
  std::string folder_;
};

}  // namespace mc::blob
