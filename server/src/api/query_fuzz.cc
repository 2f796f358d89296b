#include "api/cursor.h"
#include "api/query.h"

// The query language and cursors take whatever a client sends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto filter = mc::api::parse_run_query(text);
  if (!filter.ok()) MC_CHECK(filter.error().code == mc::Code::invalid_query);
  const auto after = mc::api::read_cursor("runs", text);
  if (after.ok() && !text.empty()) MC_CHECK(mc::api::make_cursor("runs", *after) == text);
  return 0;
}
