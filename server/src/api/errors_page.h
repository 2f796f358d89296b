// docs/reference/errors.md, which the build puts into the program: where `type` of a problem leads.
#pragma once

#include <string_view>

namespace mc::api {

std::string_view errors_page();

}  // namespace mc::api
