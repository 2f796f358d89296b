// Uploads that come in parts, until they are whole: `folder`/parts/<run>.<node>.<attempt>.<hex>, a
// file each, which lasts over a restart. What is said of them in memory is made anew from the file.
//
// At most kUploadsMax of them and kBytesMax bytes are kept: beyond that those that nobody went on
// with for kIdle make room, and if there are none, no other begins.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "blob/blob_store.h"
#include "blob/content.h"

namespace mc::blob {

// Threads: any.
class Parts {
 public:
  static constexpr std::size_t kUploadsMax = 1000;
  static constexpr std::int64_t kBytesMax = std::int64_t{256} << 30;
  static constexpr Millis kIdle{5 * 60'000};      // longer than a worker tries to go on
  static constexpr Millis kForgotten{3'600'000};  // nobody will: drop() takes it

  // What is whole goes to `content`, which lives as long.
  Parts(std::string folder, Content& content) : folder_(std::move(folder)), content_(content) {}
  // Errors: data_folder.
  Status prepare();
  // As BlobStore has them.
  std::int64_t arrived(const PartsKey& key);
  Result<std::unique_ptr<BlobStore::Part>> resume(const PartsKey& key, std::int64_t offset,
                                                  std::int64_t size);
  // Those that nobody went on with since `before`, or for kForgotten.
  Status drop(Instant before);

 private:
  friend class DiskPart;
  struct Unfinished;
  using UnfinishedPtr = std::shared_ptr<Unfinished>;  // the map's, and of each part under way

  std::string path_of(const std::string& name) const { return folder_ + "/parts/" + name; }
  UnfinishedPtr find(const std::string& name);  // nullptr: nothing has arrived
  Result<UnfinishedPtr> begin(const std::string& name);
  Status make_room(Instant now);
  bool remove(const std::string& name);
  void forget(const std::string& name, const UnfinishedPtr& upload);

  std::string folder_;
  Content& content_;
  std::mutex mutex_;  // guards the map, and that a file goes only when no part of it is under way
  std::map<std::string, UnfinishedPtr> uploads_;
};

}  // namespace mc::blob
