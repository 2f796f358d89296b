// What reading an input's declaration and resolving its value share.
#pragma once

#include <string>
#include <string_view>

#include "base/value.h"
#include "model/workflow.h"

namespace mc::lang {

// "string", "integer", …
std::string_view input_type_name(InputType type);
// Whether `value` is, or reads exactly as, a value of `type`.
bool fits_type(InputType type, const Value& value);
// Why `pattern` is no RE2 pattern; empty: it is one.
std::string pattern_error(const std::string& pattern);

}  // namespace mc::lang
