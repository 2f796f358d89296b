#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/json.h"
#include "kube/mirror.h"

// Bytes of a watch, fed whole and in pieces, with the same result.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto list = mc::parse_json(R"({"metadata":{"resourceVersion":"1"},"items":[]})");
  mc::kube::Mirror whole("/p", "a=b");
  mc::kube::Mirror pieces("/p", "a=b");
  MC_CHECK(whole.listed(*list).ok() && pieces.listed(*list).ok());
  const bool going_on = whole.feed(text);
  bool same = true;
  for (std::size_t at = 0; at < size && same;) {
    const std::size_t n = 1 + (size + at) % 7;
    same = pieces.feed(text.substr(at, n));
    at += n;
  }
  MC_CHECK(size == 0 || same == going_on);
  MC_CHECK(whole.version() == pieces.version());
  MC_CHECK(whole.objects() == pieces.objects());
  MC_CHECK(whole.next_path() == pieces.next_path());
  return 0;
}
