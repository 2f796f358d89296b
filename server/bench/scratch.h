// Where measurements write, and what this machine can physically do there.
#pragma once

#include <string>

#include "base/error.h"

namespace mc::bench {

// A fresh folder on a disk, gone with the object. In $TMPDIR, else in /var/tmp: /tmp may be memory.
class Scratch {
 public:
  // Errors: unavailable.
  static Result<Scratch> make();
  Scratch(Scratch&& other) noexcept;
  Scratch& operator=(Scratch&& other) noexcept;
  ~Scratch();
  const std::string& path() const { return path_; }

 private:
  explicit Scratch(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Why what is written in `folder` would not outlive a power cut: a file system in memory, or a sync
// that comes back faster than any disk. Empty: nothing speaks against it.
std::string doubt_durability(const std::string& folder);

// Appends `rows` of 256 bytes in batches, each made durable by one fdatasync; rows a second.
double append_rate(const std::string& folder, int rows, int batch);
// Milliseconds that one durable append of 256 bytes takes: the median of many.
double sync_ms(const std::string& folder);
// MB/s of `bytes` written to a file through a pipe, 64 KiB at a time, without a sync.
double pipe_to_disk_rate(const std::string& folder, std::int64_t bytes);
// Milliseconds to start `true` and wait for its end, one after the other: the median of many.
double spawn_ms();

}  // namespace mc::bench
