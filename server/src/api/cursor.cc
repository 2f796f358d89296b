#include "api/cursor.h"

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
  if (find_invalid_utf8(*text)) return wrong;
  return text->substr(prefix.size());
}
}  // namespace mc::api
