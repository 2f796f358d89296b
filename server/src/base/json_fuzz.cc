// What parse_json accepts, to_json writes so that parse_json reads the same again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const mc::Result<mc::Value> value = mc::parse_json(text);
  if (!value.ok()) return 0;
  const mc::Result<mc::Value> again = mc::parse_json(mc::to_json(*value));
  MC_CHECK(again.ok());
  MC_CHECK(*again == *value);
  return 0;
}
