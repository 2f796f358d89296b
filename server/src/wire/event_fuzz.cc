// What decode_events accepts, encode_events writes so that it is read the same again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "wire/event_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto events = mc::wire::decode_events(text);
  if (!events.ok()) return 0;
  const std::string written = mc::wire::encode_events(*events);
  const auto again = mc::wire::decode_events(written);
  MC_CHECK(again.ok());
  MC_CHECK(mc::wire::encode_events(*again) == written);
  return 0;
}
