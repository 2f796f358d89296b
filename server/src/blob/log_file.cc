#include "blob/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/clip.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"

namespace mc::blob {
namespace {
constexpr std::int64_t kLineBytesMax = 4096;  // of the index; names of steps are shorter
constexpr std::size_t kNameBytesMax = 512;
// More was never in one piece on its way to the disk: then it is the index that is damaged.
constexpr std::int64_t kLostBytesMax = 64 << 20;

std::int64_t file_size(int fd) {
  struct stat info{};
  return ::fstat(fd, &info) == 0 ? info.st_size : 0;
}

std::string read_at(int fd, std::int64_t offset, std::int64_t length) {
  std::string bytes(static_cast<std::size_t>(std::max<std::int64_t>(length, 0)), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(fd, bytes.data() + done, bytes.size() - done,
                              offset + static_cast<std::int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

// Names come from definitions and are short; a longer one is cut rather than making a line
// unreadable.
std::string_view cut(const std::string& name) { return head_of(name, kNameBytesMax); }
}  // namespace

Result<std::shared_ptr<LogFile>> LogFile::open(const std::string& stem, bool create) {
  const int flags = O_RDWR | O_APPEND | O_CLOEXEC | (create ? O_CREAT : 0);
  Fd text(::open((stem + ".log").c_str(), flags, 0640));
  if (!text)
    return os_error(errno == ENOENT && !create ? Code::not_found : Code::store_failed,
                    "cannot open a log");
  // A log without its index can still be read.
  Fd index(::open((stem + ".idx").c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_CREAT, 0640));
  if (!index) return os_error(Code::store_failed, "cannot open a log's index");
  auto log = std::make_shared<LogFile>(std::move(text), std::move(index));
  if (const Status mended = log->mend(); !mended) return mended.error();
  return log;
}

Status LogFile::mend() {
  size_ = file_size(text_.get());
  const std::int64_t was = file_size(index_.get());
  std::int64_t end = was;
  while (end > 0) {
    // The last line that ends with a newline at or before `end`.
    const std::int64_t from = std::max<std::int64_t>(0, end - kLineBytesMax);
    const std::string tail = read_at(index_.get(), from, end - from);
    const std::size_t newline = tail.rfind('\n');
    if (newline == std::string::npos) {
      end = from;
      continue;
    }
    const std::int64_t complete = from + static_cast<std::int64_t>(newline) + 1;
    const std::size_t before = newline == 0 ? std::string::npos : tail.rfind('\n', newline - 1);
    const std::int64_t start =
        before == std::string::npos ? from : from + static_cast<std::int64_t>(before) + 1;
    const Line line = line_at(start, complete);
    const std::int64_t lost = line.ok ? line.entry.offset + line.entry.length - size_ : 0;
    if (line.ok && lost <= kLostBytesMax) {
      if (const Status filled = fill_lost(lost); !filled) return filled;
      end = complete;
      break;
    }
    end = start;
  }
  if (end != was && ::ftruncate(index_.get(), end) != 0)
    return os_error(Code::store_failed, "cannot mend a log's index");
  index_size_ = end;
  return {};
}

// The text was written before its line of the index, so only damage or a power cut takes it away.
// The notice is as long as what it stands for: places in the log, and workers that go on writing,
// stay right.
Status LogFile::fill_lost(std::int64_t lost) {
  if (lost <= 0) return {};
  std::string notice =
      "[maestro: " + std::to_string(lost) + " bytes of this log were lost on the disk]";
  const auto length = static_cast<std::size_t>(lost);
  if (notice.size() >= length) notice.clear();
  notice.resize(length - 1, '?');
  log_warn("a log lost its end to damage or a power cut", {{"bytes", lost}});
  if (Status written = write_all(text_.get(), notice + "\n"); !written) return written;
  size_ += lost;
  return {};
}

LogFile::Line LogFile::line_at(std::int64_t position, std::int64_t end) const {
  Line line{.next = end};
  if (position >= end) return line;
  const std::string bytes =
      read_at(index_.get(), position, std::min(kLineBytesMax, end - position));
  const std::size_t newline = bytes.find('\n');
  if (newline == std::string::npos) return line;
  line.next = position + static_cast<std::int64_t>(newline) + 1;
  const Result<Value> value = parse_json(std::string_view(bytes).substr(0, newline));
  if (!value.ok() || !value->is_object()) return line;
  line.entry = {.offset = value->int_or("o", -1),
                .length = value->int_or("n", -1),
                .t = value->int_or("t", 0),
                .step = value->string_or("s", ""),
                .stream = value->string_or("c", "")};
  line.ok = line.entry.offset >= 0 && line.entry.length > 0;
  return line;
}

std::int64_t LogFile::next_line_start(std::int64_t position, std::int64_t end) const {
  const std::string bytes =
      read_at(index_.get(), position, std::min(kLineBytesMax, end - position));
  const std::size_t newline = bytes.find('\n');
  return newline == std::string::npos ? end : position + static_cast<std::int64_t>(newline) + 1;
}

// Start of the first line whose piece ends after `offset`. Lines are sorted by offset, so this
// halves the file: a log of gigabytes costs some thirty small reads.
std::int64_t LogFile::find_line(std::int64_t offset, std::int64_t end) const {
  std::int64_t low = 0;  // a line's start; every line before it ends at or before `offset`
  std::int64_t high = end;
  while (high - low > kLineBytesMax) {
    const std::int64_t middle = next_line_start(low + (high - low) / 2, high);
    if (middle >= high) break;
    const Line line = line_at(middle, end);
    if (line.ok && line.entry.offset + line.entry.length > offset) {
      high = middle;
    } else {
      low = line.next;
    }
  }
  while (low < end) {
    const Line line = line_at(low, end);
    if (line.ok && line.entry.offset + line.entry.length > offset) return low;
    low = line.next;
  }
  return end;
}

Status LogFile::write_entries(std::string_view entries) {
  Status written = write_all(index_.get(), entries);
  if (written) index_size_ += static_cast<std::int64_t>(entries.size());
  // Half a line would make the next one unreadable. What cannot be cut is mended at the next
  // opening.
  else if (::ftruncate(index_.get(), index_size_) != 0)
    return os_error(Code::store_failed, "cannot mend a log's index");
  return written;
}

Result<std::int64_t> LogFile::append(std::int64_t offset, const std::vector<LogPiece>& pieces) {
  const std::scoped_lock lock(mutex_);
  if (offset < 0 || offset > size_) {
    return Error{Code::invalid_field,
                 "the log has " + std::to_string(size_) + " bytes, the piece begins at " +
                     std::to_string(offset),
                 {}};
  }
  std::string entries;
  std::vector<std::string_view> text;
  std::int64_t at = offset;
  std::int64_t end = size_;
  for (const LogPiece& piece : pieces) {
    const auto length = static_cast<std::int64_t>(piece.text.size());
    const std::int64_t repeated = std::clamp<std::int64_t>(end - at, 0, length);
    at += length;
    if (repeated == length) continue;
    const std::string_view fresh =
        std::string_view(piece.text).substr(static_cast<std::size_t>(repeated));
    JsonWriter line;
    line.open('{').field("o", end).field("n", fresh.size()).field("t", piece.t);
    line.field("s", cut(piece.step)).field("c", cut(piece.stream)).close('}');
    entries += line.text() + "\n";
    end += static_cast<std::int64_t>(fresh.size());
    text.push_back(fresh);
  }
  if (text.empty()) return size_;
  MC_FAULT_POINT("log.before");
  if (const Status written = write_all(text_.get(), text); !written) {
    if (::ftruncate(text_.get(), size_) != 0) size_ = file_size(text_.get());
    return written.error();
  }
  size_ = end;
  MC_FAULT_POINT("log.between");
  if (const Status written = write_entries(entries); !written) return written.error();
  MC_FAULT_POINT("log.after");
  return size_;
}

std::int64_t LogFile::size() {
  const std::scoped_lock lock(mutex_);
  return size_;
}

Result<LogRead> LogFile::read(std::int64_t offset, std::int64_t bytes_max) {
  std::int64_t size = 0;
  std::int64_t index_end = 0;
  {
    const std::scoped_lock lock(mutex_);
    size = size_;
    index_end = index_size_;
  }
  LogRead out{.next_offset = std::clamp<std::int64_t>(offset, 0, size)};
  const std::int64_t from = out.next_offset;
  const std::string text =
      read_at(text_.get(), from,
              std::min(size - from, std::clamp<std::int64_t>(bytes_max, 1, kReadBytesMax)));
  const std::int64_t until = from + static_cast<std::int64_t>(text.size());
  const auto give = [&](const Entry& entry, std::int64_t piece_end) {
    const std::int64_t stop = std::min(piece_end, until);
    if (stop <= out.next_offset) return;
    out.pieces.push_back({entry.t, entry.step, entry.stream,
                          text.substr(static_cast<std::size_t>(out.next_offset - from),
                                      static_cast<std::size_t>(stop - out.next_offset))});
    out.next_offset = stop;
  };
  std::int64_t position = text.empty() ? index_end : find_line(from, index_end);
  while (position < index_end && out.next_offset < until) {
    const Line line = line_at(position, index_end);
    position = line.next;
    if (!line.ok) continue;
    give({.stream = "stdout"}, line.entry.offset);  // text that the index does not know
    give(line.entry, line.entry.offset + line.entry.length);
  }
  give({.stream = "stdout"}, until);
  return out;
}

}  // namespace mc::blob
