// Any bytes: they read the same in one piece and byte by byte, and what was read survives being
// written and read again.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "redis/reader.h"
#include "redis/written_test.h"

namespace {
struct Seen {
  std::string replies;  // as text: a NaN equals none
  bool refused = false;
  bool operator==(const Seen&) const = default;
};

Seen read_all(std::string_view bytes, std::size_t piece, std::size_t bytes_max) {
  mc::redis::ReplyReader reader({.bytes_max = bytes_max, .depth_max = 4, .items_max = 100});
  Seen seen;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    reader.feed(bytes.substr(at, piece));
    for (;;) {
      const auto reply = reader.next();
      seen.refused = !reply;
      if (!reply) return seen;
      if (!*reply) break;
      seen.replies += mc::redis::written(**reply);
    }
  }
  return seen;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMax = 4096;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Seen whole = read_all(bytes, size + 1, kMax);
  MC_CHECK(read_all(bytes, 1, kMax) == whole);
  MC_CHECK(read_all(bytes, 7, kMax) == whole);
  // A text is longer with its length before it than it was on a line.
  const Seen again = read_all(whole.replies, whole.replies.size() + 1, kMax * 100);
  MC_CHECK(!again.refused && again.replies == whole.replies);
  return 0;
}
