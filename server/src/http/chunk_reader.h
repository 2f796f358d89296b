// The chunked transfer coding (RFC 9112, 7.1), strictly: CR LF and nothing else ends a line. Own
// code, because Beast's parser has an assertion here (basic_parser.ipp, `n >= 5`) that a client can
// make fail by sending the last chunk in small pieces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mc::http {

class ChunkReader {
 public:
  enum class State : std::uint8_t { size, data, data_end, trailers, done, malformed, too_large };

  explicit ChunkReader(std::uint64_t bytes_max) : room_(bytes_max) {}
  // Appends what `bytes` carry to `body` and returns how many bytes were used: all of them, or up
  // to the end of the last chunk, or of the trouble. Trailers are read and dropped.
  std::size_t feed(std::string_view bytes, std::string& body);
  State state() const { return state_; }

 private:
  static constexpr std::size_t kSizeLineMax = 256;
  static constexpr std::size_t kTrailersMax = 4 << 10;

  void take_char(char c);
  void take_size_line();

  std::uint64_t room_;      // what the body may still grow by
  std::uint64_t left_ = 0;  // of the chunk
  State state_ = State::size;
  std::string line_;
  std::size_t trailer_bytes_ = 0;
};

}  // namespace mc::http
