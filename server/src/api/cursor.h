// Opaque cursors of lists: where the next page begins, with the name of the list so that a cursor
// of another one is refused.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace mc::api {

// Requires: `list` has no newline.
std::string make_cursor(std::string_view list, std::string_view after);
// The `after` of a cursor that make_cursor gave for this list; "" for "". Errors: invalid_cursor.
Result<std::string> read_cursor(std::string_view list, std::string_view cursor);

}  // namespace mc::api
