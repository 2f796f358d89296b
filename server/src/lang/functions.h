// The functions of the expression language: names, how many arguments each takes, what each does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/value.h"

namespace mc::lang {

struct FunctionInfo {
  std::string_view name;
  int arguments_min;
  int arguments_max;  // -1: any number
  bool status;        // success, failure, cancelled, always
};
// nullptr: no such function.
const FunctionInfo* find_function(std::string_view name);
std::vector<std::string> function_names();

// Functions that need nothing but their arguments. Requires: the right number of them.
// Errors: invalid_expression: a wrong type, a bad pattern, a result beyond 1 MiB.
Result<Value> call_function(std::string_view name, const std::vector<Value>& arguments);

// Operations of the evaluator's budget that a call costs beyond one: long work counts for more.
// Requires: the right number of arguments.
std::size_t cost_of_call(std::string_view name, const std::vector<Value>& arguments);

// As text inside text: strings as they are, null as nothing, numbers and booleans as JSON, lists
// and objects as JSON.
std::string to_text(const Value& value);

// Offset of the `}}` that ends an expression begun before `from`; quotes are passed over. npos:
// none.
std::size_t find_expression_end(std::string_view text, std::size_t from);

}  // namespace mc::lang
