#include "base/check.h"
#include "base/text.h"
#include "base/time.h"
#include "base/uuid.h"

// What people write by hand: durations, sizes, globs, moments, ids, names. What is understood is
// understood again after it was written.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto duration = mc::parse_duration(text)) {
    MC_CHECK(duration->count() >= 0);
    MC_CHECK(mc::parse_duration(mc::to_duration_text(*duration)) == duration);
  }
  if (const auto bytes = mc::parse_size(text)) MC_CHECK(*bytes >= 0);
  if (const auto at = mc::parse_rfc3339(text))
    MC_CHECK(mc::parse_rfc3339(mc::to_rfc3339(*at)) == at);
  if (const auto id = mc::parse_uuid(text)) MC_CHECK(mc::parse_uuid(mc::to_string(*id)) == id);
  if (mc::is_name(text)) MC_CHECK(size >= 1 && size <= 63);
  const std::size_t middle = text.find('\n');
  if (middle != std::string_view::npos && size < 4096)
    (void)mc::glob_match(text.substr(0, middle), text.substr(middle + 1));
  MC_CHECK(mc::glob_match("**", text));
  (void)mc::to_valid_utf8(text);
  return 0;
}
