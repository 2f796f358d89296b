// The unread bytes of one connection. A read may be under way into room() while bytes before it are
// used: nothing moves then.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace mc::http {

class Input {
 public:
  explicit Input(std::size_t bytes_max) : max_(bytes_max) {}

  std::string_view data() const { return {bytes_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  void consume(std::size_t size) { begin_ += size; }
  void commit(std::size_t size) { end_ += size; }
  char* room() { return bytes_.get() + end_; }
  std::size_t room_size() const { return size_ - end_; }

  // Makes room for a read, at least `kPiece` bytes where the limit allows. False: full.
  // Requires: no read is under way.
  bool make_room() {
    const std::size_t used = end_ - begin_;
    if (used == 0 && size_ > kKept) {
      bytes_.reset();
      size_ = 0;
    }
    if (begin_ > 0 && used > 0) std::memmove(bytes_.get(), bytes_.get() + begin_, used);
    begin_ = 0;
    end_ = used;
    if (size_ - used < kPiece && size_ < max_) grow();
    return size_ > end_;
  }
  // A larger piece at a time, for bodies. Requires: no read is under way, make_room() was called.
  void widen() {
    while (size_ < max_) grow();
  }

 private:
  static constexpr std::size_t kPiece = 2 << 10;
  static constexpr std::size_t kKept = 16 << 10;  // memory that an idle connection may keep

  void grow() {
    const std::size_t size = std::min(max_, std::max<std::size_t>(4 << 10, size_ * 2));
    auto bytes = std::make_unique_for_overwrite<char[]>(size);
    if (end_ > 0) std::memcpy(bytes.get(), bytes_.get(), end_);
    bytes_ = std::move(bytes);
    size_ = size;
  }

  const std::size_t max_;
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace mc::http
