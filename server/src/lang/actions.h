// The built-in actions: their names and the inputs each takes. docs/reference/actions.md is for
// people.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace mc::lang {

struct ActionInput {
  std::string_view name;
  bool required = false;
};
struct Action {
  std::string_view name;
  std::vector<ActionInput> inputs;
};
const std::vector<Action>& actions();
const Action* find_action(std::string_view name);

}  // namespace mc::lang
