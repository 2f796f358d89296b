// Expressions as trees (parser.h makes them, evaluator.cc walks them, check_expression.cc judges
// them).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/value.h"

namespace mc::lang {

enum class Op : std::uint8_t {
  literal,
  root,
  member,
  index,
  call,
  negate,
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal,
  both,
  either,
  choose
};

struct Node {
  Op op = Op::literal;
  std::size_t offset = 0;  // bytes into the expression, for messages
  Value value;             // literal
  std::string name;        // root, member, call
  std::vector<std::unique_ptr<Node>> children;
};
using Tree = std::unique_ptr<Node>;

// Errors: invalid_expression with the place (1-based column in problems[0]); deeper than 64 levels.
Result<Tree> parse_expression(std::string_view text);

}  // namespace mc::lang
