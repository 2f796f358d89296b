#include "api/cursor.h"

#include <algorithm>

#include "auth/token.h"
#include "base/text.h"

namespace mc::api {
namespace {
constexpr std::size_t kCursorMax = 1024;
}  // namespace

std::string make_cursor(std::string_view list, std::string_view after) {
  return auth::to_base64url(std::string(list) + "\n" + std::string(after));
}

Result<std::string> read_cursor(std::string_view list, std::string_view cursor) {
  if (cursor.empty()) return std::string();
  const Error wrong{
      Code::invalid_cursor, "send the next_cursor of the page before, or none for the first", {}};
  if (cursor.size() > kCursorMax) return wrong;
  const auto text = auth::from_base64url(cursor);
  const std::string prefix = std::string(list) + "\n";
  if (!text || !text->starts_with(prefix) || text->size() == prefix.size()) return wrong;
  const std::string after = text->substr(prefix.size());
  const bool plain = std::none_of(after.begin(), after.end(),
                                  [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (!plain || find_invalid_utf8(after)) return wrong;
  return after;
}
}  // namespace mc::api
