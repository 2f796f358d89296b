// Blobs by digest: `folder`/blobs/sha256/ab/abcd…, written in `folder`/tmp and moved into place
// when their bytes are on the disk.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "blob/blob_store.h"

namespace mc::blob {

// Threads: any.
class Content {
 public:
  explicit Content(std::string folder) : folder_(std::move(folder)) {}
  // Makes the folders and removes what broken uploads left. Errors: data_folder.
  Status prepare();

  Result<std::unique_ptr<BlobStore::Upload>> begin_upload();
  bool has(std::string_view digest) const;
  Result<BlobStore::File> open(std::string_view digest) const;
  Status remove(std::string_view digest) const;

 private:
  std::string folder_;
  std::atomic<std::uint64_t> uploads_{0};
};

}  // namespace mc::blob
