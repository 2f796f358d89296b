#include "http/chunk_reader.h"

#include <algorithm>
#include <charconv>

namespace mc::http {

std::size_t ChunkReader::feed(std::string_view bytes, std::string& body) {
  std::size_t used = 0;
  while (used < bytes.size() && state_ < State::done) {
    if (state_ != State::data) {
      take_char(bytes[used++]);
      continue;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - used));
    body.append(bytes.substr(used, size));
    used += size;
    left_ -= size;
    if (left_ == 0) state_ = State::data_end;
  }
  return used;
}

// One character of a line; the line is complete with its LF.
void ChunkReader::take_char(char c) {
  const std::size_t line_max = state_ == State::trailers ? kTrailersMax : kSizeLineMax;
  const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r' && c != '\n';
  const bool after_cr = line_.ends_with('\r');
  if (control || c == 0x7f || (c == '\n') != after_cr || line_.size() == line_max) {
    state_ = State::malformed;
    return;
  }
  if (c != '\n') {
    line_.push_back(c);
    return;
  }
  line_.pop_back();
  if (state_ == State::size) {
    take_size_line();
  } else if (state_ == State::data_end) {
    state_ = line_.empty() ? State::size : State::malformed;
  } else if (line_.empty()) {
    state_ = State::done;
  } else {
    trailer_bytes_ += line_.size();
    if (trailer_bytes_ > kTrailersMax) state_ = State::malformed;
  }
  line_.clear();
}

// chunk-size [ ";" chunk-ext ]
void ChunkReader::take_size_line() {
  const std::string_view digits = std::string_view(line_).substr(0, line_.find(';'));
  std::uint64_t size = 0;
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, size, 16);
  if (digits.empty() || digits.size() > 16 || read.ec != std::errc{} || read.ptr != end) {
    state_ = State::malformed;
  } else if (size > room_) {
    state_ = State::too_large;
  } else if (size == 0) {
    state_ = State::trailers;
  } else {
    room_ -= size;
    left_ = size;
    state_ = State::data;
  }
}

}  // namespace mc::http
