#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/text.h"
#include "worker/mask.h"

// First line: secrets, separated by zero bytes. The rest: text, fed in pieces and whole, with the
// same result, which holds no secret that the stars themselves do not make.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(data, data + size);
  const std::size_t line = input.find('\n');
  if (line == std::string::npos || line > 256) return 0;
  const auto values = mc::split(input.substr(0, line), '\0');
  mc::worker::SecretSet secrets;
  for (const std::string& value : values) secrets.add(value);
  secrets.build();
  const std::string text = input.substr(line + 1);
  mc::worker::Masker masker;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = 1 + (size + at) % 5;
    out += masker.feed(std::string_view(text).substr(at, n), secrets);
    at += n;
  }
  out += masker.finish();
  MC_CHECK(out == secrets.mask(text));
  for (const std::string& value : values) {
    const bool plain = value.size() >= mc::worker::kSecretBytesMin &&
                       value.find_first_of("*\r\n") == std::string::npos;
    MC_CHECK(!plain || out.find(value) == std::string::npos);
  }
  return 0;
}
