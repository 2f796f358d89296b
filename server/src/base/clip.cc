#include "base/clip.h"

#include "base/check.h"

namespace mc {

std::string_view head_of(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

std::string clip(std::string_view text, std::size_t bytes_max) {
  constexpr std::string_view kEllipsis = "…";
  MC_CHECK(bytes_max >= kEllipsis.size());
  if (text.size() <= bytes_max) return std::string(text);
  return std::string(head_of(text, bytes_max - kEllipsis.size())) += kEllipsis;
}

}  // namespace mc
