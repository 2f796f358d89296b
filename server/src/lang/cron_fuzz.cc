#include "base/check.h"
#include "lang/cron.h"

// The first byte chooses the zone, the next four the moment; the rest is the expression. A fire
// lies after the moment it is asked for, on a whole minute, and is found from just before it too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr const char* kZones[] = {"UTC",          "Europe/Berlin",       "America/New_York",
                                    "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca",
                                    "Pacific/Apia", "America/Sao_Paulo"};
  if (size < 5) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 5, size - 5);
  const auto cron = mc::lang::Cron::parse(text, kZones[data[0] % 8]);
  if (!cron.ok()) {
    MC_CHECK(!cron.error().message.empty());
    return 0;
  }
  std::int64_t seconds = 0;
  for (int i = 1; i < 5; ++i) seconds = seconds * 256 + data[i];
  mc::Instant at{seconds * 1000 + 1};
  for (int i = 0; i < 3; ++i) {
    const auto next = cron->next(at);
    if (!next) return 0;
    MC_CHECK(*next > at && next->ms % 1000 == 0);
    MC_CHECK(cron->next(*next - mc::Millis(1)) == next);
    at = *next;
  }
  return 0;
}
