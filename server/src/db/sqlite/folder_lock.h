// Keeps a second server out of a data folder.
#pragma once

#include <string>

#include "base/error.h"

namespace mc::db {

// Held until it goes. Errors: data_folder, naming the process that holds it.
class FolderLock {
 public:
  static Result<FolderLock> take(const std::string& folder);
  FolderLock(FolderLock&& other) noexcept : file_(other.file_) { other.file_ = -1; }
  FolderLock& operator=(FolderLock&&) = delete;
  FolderLock(const FolderLock&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int file) : file_(file) {}
  int file_;
};

// Makes the folder (0700) if it is not there, and proves that it can be written.
Status prepare_folder(const std::string& folder, bool create);

}  // namespace mc::db
