// Bytes on disk: artifacts and cache contents by digest, job logs by run. No metadata about runs,
// no retention rule. Threads: every method may be called from any thread.
//
// Others may have the same blobs open, also on other machines. What has() said is there, or an
// upload put there, stays, whoever removes what is unused; a log is one store's at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "base/uuid.h"

namespace mc::blob {

// One piece of a job's log, as a worker sent it.
struct LogPiece {
  std::int64_t t = 0;  // ms since the epoch
  std::string step;
  std::string stream;  // stdout, stderr, system
  std::string text;
};

// A place in a log: bytes of text before it.
struct LogRead {
  std::vector<LogPiece> pieces;
  std::int64_t next_offset = 0;
};

// Who uploads what in parts: an attempt of a job. Others who upload the same have nothing to do
// with it.
struct PartsKey {
  Uuid run;
  std::uint32_t node = 0;
  int attempt = 0;
  std::string digest;
};

class BlobStore {
 public:
  virtual ~BlobStore() = default;
  // Writes out what is not yet where it has to last, in bounded time; the last thing that this
  // object writes: uploads, appends and, on a disk, reads of logs fail with unavailable afterwards.
  // Requires: none is under way. Errors: what is lost with this machine's disk.
  virtual Status close() = 0;

  // --- content-addressed blobs: digest is "sha256:<64 hex>" ---
  // Starts an upload; write pieces, then finish checks the digest and makes the blob durable.
  class Upload {
   public:
    virtual ~Upload() = default;  // not finished: leaves nothing behind
    virtual Status write(std::string_view bytes) = 0;
    // Errors: invalid_field when the bytes have another digest; store_failed (disk full, …).
    virtual Status finish(std::string_view expected_digest) = 0;
  };
  virtual Result<std::unique_ptr<Upload>> begin_upload() = 0;

  // --- the same in parts: what has arrived stays when a part breaks off, also over a restart ---
  class Part {
   public:
    virtual ~Part() = default;  // what was written has arrived
    // Errors: conflict (another part of this upload began meanwhile), invalid_field (more than the
    // upload's size), store_failed (disk full, …: the upload is dropped).
    virtual Status write(std::string_view bytes) = 0;
    // How much of the upload is on the disk now; at its size the blob is there. Errors: conflict,
    // store_failed; invalid_field when the whole has another digest (the upload is dropped).
    virtual Result<std::int64_t> finish() = 0;
  };
  // How many bytes have arrived; 0 when there is no such upload. A part under way ends: no more of
  // it arrives.
  virtual std::int64_t arrived(const PartsKey& key) = 0;
  // Goes on at `offset` with an upload of `size` bytes in all. Errors: conflict (offset is not what
  // has arrived), overloaded (too many uploads), store_failed (no room for `size`, …).
  virtual Result<std::unique_ptr<Part>> resume(const PartsKey& key, std::int64_t offset,
                                               std::int64_t size) = 0;

  // Counts as use, also of a server that comes after this one: see remove_unused.
  virtual bool has(std::string_view digest) = 0;
  // The file that holds it (for sendfile) and its size. Errors: not_found.
  struct File {
    std::string path;
    std::int64_t size = 0;
  };
  virtual Result<File> open(std::string_view digest) = 0;

  // --- garbage: what nobody refers to is for the caller to know ---
  // Blobs that nobody finished an upload of, or asked has() for, since `before`: greater than
  // `after`, in order of digests, at most `limit`.
  virtual Result<std::vector<std::string>> list_unused(Instant before, std::string_view after,
                                                       int limit) = 0;
  // Removes it unless it was used since `before`; true: it is gone. An upload that finishes at the
  // same time has its blob afterwards.
  virtual Result<bool> remove_unused(std::string_view digest, Instant before) = 0;
  // What uploads that broke off before `before` left behind.
  virtual Status drop_uploads(Instant before) = 0;

  // --- logs: append-only, one a (run, node, attempt) --- Appends at `offset` (bytes of text so
  // far): less than the end: the overlap is dropped (a repeat); more: invalid_field. Returns the
  // new end.
  virtual Result<std::int64_t> append_log(Uuid run, std::uint32_t node, int attempt,
                                          std::int64_t offset,
                                          const std::vector<LogPiece>& pieces) = 0;
  // At most about `bytes_max` of text from `offset` on; empty at the end.
  virtual Result<LogRead> read_log(Uuid run, std::uint32_t node, int attempt, std::int64_t offset,
                                   std::int64_t bytes_max) = 0;
  virtual std::int64_t log_size(Uuid run, std::uint32_t node, int attempt) = 0;
  // The raw text as a file, for ranges. Errors: not_found when nothing was logged.
  virtual Result<File> log_file(Uuid run, std::uint32_t node, int attempt) = 0;
  virtual Status remove_logs(Uuid run) = 0;
  // Called (from any thread) after each append to this run's logs; returns a ticket.
  virtual std::uint64_t watch_logs(
      Uuid run, std::function<void(std::uint32_t node, int attempt)> changed) = 0;
  virtual void unwatch_logs(std::uint64_t ticket) = 0;
};

// The name without "sha256:"; empty when `digest` is none.
std::string hex_of_digest(std::string_view digest);
// What a store that was closed says.
inline Error closed_store() { return {Code::unavailable, "the blob store is closed", {}}; }

// `folder`/blobs/sha256/ab/abcd…, `folder`/logs/<run>/<node>.<attempt>.{log,idx}. Errors:
// data_folder.
Result<std::unique_ptr<BlobStore>> open_disk(const std::string& folder);

}  // namespace mc::blob
