// One job attempt's log: `.log` is the raw text, `.idx` one JSON line a piece:
//   {"o":0,"n":12,"t":1700000000000,"s":"compile","c":"stdout"}
// offset and length of the piece in `.log`, its time, step and stream. Text is written first, so
// that after a crash the index may lack the end of the text; such text is served as a piece
// without step.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "blob/blob_store.h"

namespace mc::blob {

inline constexpr std::int64_t kReadBytesMax = 8 << 20;  // of text, in one read

// Threads: any.
class LogFile {
 public:
  // `stem` is the path without ".log". Mends what a crash left: a torn last line of the index is
  // cut off, and text that the index knows of but the disk lost is replaced by a notice. Errors:
  // not_found (only without `create`), store_failed.
  static Result<std::shared_ptr<LogFile>> open(const std::string& stem, bool create);

  // As BlobStore::append_log.
  Result<std::int64_t> append(std::int64_t offset, const std::vector<LogPiece>& pieces);
  Result<LogRead> read(std::int64_t offset, std::int64_t bytes_max);
  std::int64_t size();

  // Use open().
  LogFile(Fd text, Fd index) : text_(std::move(text)), index_(std::move(index)) {}

 private:
  struct Entry {
    std::int64_t offset = 0;
    std::int64_t length = 0;
    std::int64_t t = 0;
    std::string step, stream;
  };
  // A complete line of the index and where the next begins; length 0: no line could be read.
  struct Line {
    Entry entry;
    std::int64_t next = 0;
    bool ok = false;
  };

  Status mend();
  Status fill_lost(std::int64_t lost);
  Line line_at(std::int64_t position, std::int64_t end) const;
  std::int64_t next_line_start(std::int64_t position, std::int64_t end) const;
  std::int64_t find_line(std::int64_t offset, std::int64_t end) const;
  Status write_entries(std::string_view entries);

  Fd text_, index_;
  std::mutex
      mutex_;  // guards the two sizes and appending; the files' bytes below them never change
  std::int64_t size_ = 0;
  std::int64_t index_size_ = 0;
};

}  // namespace mc::blob
