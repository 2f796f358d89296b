#include "worker/actions/action.h"

#include <array>

#include "base/text.h"

namespace mc::worker {
namespace {
using Perform = ActionResult (*)(ActionCall&);
constexpr std::array<std::pair<std::string_view, Perform>, 8> kActions{{
    {"checkout", checkout},
    {"artifact/upload", upload_artifact},
    {"artifact/download", download_artifact},
    {"cache/restore", restore_cache},
    {"cache/save", save_cache},
    {"http", call_http},
    {"notify", notify},
    {"noop", noop},
}};
}  // namespace

std::string ActionCall::get(std::string_view name, std::string_view fallback) const {
  for (const auto& [given, value] : with) {
    if (given == name) return value;
  }
  return std::string(fallback);
}

bool ActionCall::has(std::string_view name) const { return !get(name).empty(); }

ActionResult failed(FailureKind kind, std::string message) {
  return {.outputs = Object{}, .failure = Failure{kind, std::move(message)}};
}

ActionResult failed(const Error& error) {
  return {.outputs = Object{}, .failure = failure_of(error)};
}

ActionResult perform(const std::string& name, ActionCall& call) {
  for (const auto& [known, action] : kActions) {
    if (known == name) return action(call);
  }
  return failed(FailureKind::user, "this worker knows no action `" + name + "`; a newer one may");
}

std::vector<std::string> path_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string& line : split(text, '\n')) {
    if (!trim(line).empty()) lines.emplace_back(trim(line));
  }
  return lines;
}

ActionResult noop(ActionCall& call) {
  if (call.has("message")) call.say(call.get("message"));
  return {};
}

}  // namespace mc::worker
