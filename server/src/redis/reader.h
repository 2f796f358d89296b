// Turns the bytes that Redis sends into replies, as they come. Pure: knows no socket.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "redis/resp.h"

namespace mc::redis {

// What one answer may have at most: whoever speaks here need not be Redis.
struct ReplyLimits {
  std::size_t bytes_max = 1 << 20;  // of one reply, as it was sent
  std::size_t depth_max = 8;        // lists in lists; HELLO's answer needs 3
  std::size_t items_max = 10'000;   // of one reply, all depths together
};

// Reads RESP2 and RESP3 but for strings and lists whose length comes last (RESP3's "streamed"
// types): no server sends them unasked. Attributes are read and dropped. Takes time in proportion
// to the bytes, however they are cut.
class ReplyReader {
 public:
  explicit ReplyReader(ReplyLimits limits = {}) : limits_(limits) {}

  void feed(std::string_view bytes);
  // The next whole reply; nullopt: more bytes are needed. Errors: malformed_request: not RESP, or
  // over a limit; final: nothing behind it can be read.
  Result<std::optional<Reply>> next();

 private:
  // A list that is not complete.
  struct Open {
    Reply reply;
    std::size_t missing = 0;
    bool dropped = false;  // an attribute
  };
  enum class Step : std::uint8_t { more, done, starved };
  // Reads one element; `done`: `whole_` holds a reply.
  Result<Step> step();
  Result<Step> begin_list(char type, std::string_view count);
  Result<Step> read_text(char type, std::string_view length);
  Result<Step> read_line(char type, std::string_view line);
  Step add(Reply reply);
  std::optional<std::string_view> take_line();
  Status check_size() const;

  ReplyLimits limits_;
  std::string buffer_;
  std::size_t at_ = 0;       // what is before it has been read
  std::size_t scanned_ = 0;  // no end of a line between at_ and here
  std::size_t size_ = 0;     // bytes of this reply that have been read
  std::size_t items_ = 0;    // of this reply
  // A string whose length is known and whose bytes are not all there.
  std::optional<std::size_t> text_left_;
  char text_type_ = 0;
  std::vector<Open> open_;  // from the outside to the inside
  Reply whole_;
  std::optional<Error> failed_;
};

}  // namespace mc::redis
