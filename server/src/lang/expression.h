// ${{ … }}: one small language, specified row by row in docs/reference/expressions.md.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/value.h"

namespace mc::lang {

// What the status functions answer, set by whoever evaluates.
struct StatusView {
  bool success = true;     // success(): every need (or earlier step) is fine
  bool failure = false;    // failure(): an ancestor (or earlier step) failed
  bool cancelled = false;  // cancelled(): the run is being cancelled
};

// The world an expression sees. All callbacks are optional.
struct Scope {
  // The value of a context root ("inputs", "needs", "steps", "matrix", "env", "run", …), or nullptr
  // when this place has no such context. The pointer must stay valid during the evaluation.
  std::function<const Value*(std::string_view root)> context;
  StatusView status;
  // hash_files(globs): hex SHA-256 over the matching files; absent: an error.
  std::function<Result<std::string>(const std::vector<std::string>& globs)> hash_files;
};

// Evaluates the inside of ${{ }}. Bounded: 10,000 operations, 1 MiB of result, depth 64.
// Errors: invalid_expression.
Result<Value> evaluate(std::string_view expression, const Scope& scope);

// Evaluates a template: text without ${{ is itself; one that is a single ${{ }} keeps its type;
// else each is put into the text as a string (null as "", lists and objects as JSON).
Result<Value> evaluate_template(std::string_view text, const Scope& scope);
// As evaluate_template, with the result as text.
Result<std::string> evaluate_text(std::string_view text, const Scope& scope);
// An `if`: `condition` empty means success(); one that names no status function means
// success() && (condition). Not a boolean: an error.
Result<bool> evaluate_condition(std::string_view condition, const Scope& scope);

// Whether a condition calls always() or cancelled(), and so is asked for also after a cancel.
bool outlives_cancel(std::string_view condition);

}  // namespace mc::lang
