#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "worker/commands.h"
#include "worker/env_file.h"

// What is accepted keeps to the limits; nothing crashes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const auto pairs = mc::worker::parse_env_file(text, "MAESTRO_OUTPUT");
  if (pairs.ok()) {
    for (const auto& [name, value] : *pairs) {
      MC_CHECK(mc::worker::is_env_name(name));
      MC_CHECK(value.size() <= mc::worker::kOutputBytesMax);
      MC_CHECK(value.find('\0') == std::string::npos);
    }
  }
  MC_CHECK(mc::worker::parse_annotations(text).size() <= mc::worker::kAnnotationsMax);
  if (const auto command = mc::worker::parse_command(text)) MC_CHECK(!command->name.empty());
  return 0;
}
