// Pages of lists that are small enough to be made whole.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/call.h"

namespace mc::api {

// Answers with the page that ?limit= and ?cursor= ask for of what `whole` gives: {items, …},
// sorted by the text `key` of each item. `list` names the list in cursors. Errors: invalid_field,
// invalid_cursor, and those of `whole`.
void answer_page(const CallPtr& call, std::string_view list, std::string_view key,
                 const std::function<void(conductor::Done<std::string>)>& whole);

}  // namespace mc::api
