#include "lang/actions.h"

namespace mc::lang {

const std::vector<Action>& actions() {
  static const std::vector<Action> kActions = {
      {"checkout", {{"repository"}, {"ref"}, {"path"}, {"depth"}}},
      {"artifact/upload", {{"name", true}, {"path", true}, {"keep"}}},
      {"artifact/download", {{"name"}, {"path"}, {"run"}}},
      {"cache/restore", {{"key", true}, {"path", true}, {"restore_keys"}}},
      {"cache/save", {{"key", true}, {"path", true}}},
      {"http",
       {{"url", true},
        {"method"},
        {"headers"},
        {"body"},
        {"expect_status"},
        {"timeout"},
        {"output"}}},
      {"notify", {{"message", true}, {"url"}, {"level"}}},
      {"noop", {}},
  };
  return kActions;
}

const Action* find_action(std::string_view name) {
  for (const Action& action : actions()) {
    if (action.name == name) return &action;
  }
  return nullptr;
}
}  // namespace mc::lang
