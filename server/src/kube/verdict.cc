#include "kube/verdict.h"

#include <algorithm>
#include <array>

#include "base/clip.h"
#include "base/text.h"

namespace mc::kube {
namespace {
constexpr std::size_t kMessageMax = 600;

// The member reached by these names, or null.
const Value* at(const Value* from, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (from != nullptr) from = from->find(name);
  }
  return from;
}

std::string text(const Value* from, std::string_view name) {
  return from == nullptr ? std::string() : from->string_or(name, "");
}

// The entry of `list` whose `key` is `wanted`, or null.
const Value* entry(const Value* list, std::string_view key, std::string_view wanted) {
  if (list == nullptr || !list->is_list()) return nullptr;
  for (const Value& item : list->as_list()) {
    if (item.string_or(key, "") == wanted) return &item;
  }
  return nullptr;
}

// The condition of this type that holds, or null.
const Value* condition(const Value* object, std::string_view type) {
  const Value* found = entry(at(object, {"status", "conditions"}), "type", type);
  return found != nullptr && found->string_or("status", "") == "True" ? found : nullptr;
}

std::string words(const Value* from) {
  const std::string reason = text(from, "reason");
  const std::string message = std::string(trim(text(from, "message")));
  return clip(reason.empty() || message.empty() ? reason + message : reason + ": " + message,
              kMessageMax);
}

// Calls `look` for the state of each container of the pod, the init containers first.
template <class Look>
void each_container(const Value* pod, Look look) {
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    const Value* statuses = at(pod, {"status", list});
    if (statuses == nullptr || !statuses->is_list()) continue;
    for (const Value& status : statuses->as_list()) look(status);
  }
}

bool is_block(std::string_view reason) {
  constexpr std::array kBlocks{"ErrImagePull",         "ImagePullBackOff",
                               "InvalidImageName",     "ErrImageNeverPull",
                               "CreateContainerError", "CreateContainerConfigError",
                               "RunContainerError",    "RegistryUnavailable"};
  return std::ranges::find(kBlocks, reason) != kBlocks.end();
}

Verdict judge_pod(const Value* pod) {
  Verdict verdict;
  if (pod == nullptr) return verdict;
  const std::string phase = text(at(pod, {"status"}), "phase");
  if (phase == "Running" || phase == "Succeeded" || phase == "Failed") {
    verdict.stage = Stage::running;
    return verdict;
  }
  const Value* scheduled = entry(at(pod, {"status", "conditions"}), "type", "PodScheduled");
  if (text(scheduled, "status") == "False") verdict.message = words(scheduled);
  each_container(pod, [&](const Value& status) {
    const Value* waiting = at(&status, {"state", "waiting"});
    if (!is_block(text(waiting, "reason"))) return;
    verdict.stage = Stage::blocked;
    verdict.message = "container " + status.string_or("name", "") + " (image " +
                      status.string_or("image", "") + "): " + words(waiting);
  });
  return verdict;
}

Verdict judge_failed(const Value* failed, const Value* pod) {
  Verdict verdict{.stage = Stage::ended, .cause = Cause::failed, .message = words(failed)};
  if (text(failed, "reason") == "DeadlineExceeded") {
    verdict.cause = Cause::deadline;
    return verdict;
  }
  const Value* disrupted = condition(pod, "DisruptionTarget");
  const Value* status = at(pod, {"status"});
  const std::string reason = text(status, "reason");
  if (disrupted != nullptr || !reason.empty()) {
    verdict.cause = Cause::disrupted;
    verdict.message = words(disrupted != nullptr ? disrupted : status);
    return verdict;
  }
  bool told = false;
  each_container(pod, [&](const Value& container) {
    const Value* end = at(&container, {"state", "terminated"});
    if (end == nullptr || end->int_or("exitCode", 0) == 0) return;
    told = true;
    const bool memory = text(end, "reason") == "OOMKilled";
    if (memory) verdict.cause = Cause::memory;
    verdict.message = "container " + container.string_or("name", "") + " ended with exit code " +
                      std::to_string(end->int_or("exitCode", 0)) + " (" + words(end) + ")";
  });
  // A pod of which nothing is known any more was deleted while it ran.
  if (!told && text(status, "phase") != "Failed") {
    verdict.cause = Cause::disrupted;
    verdict.message = "its pod was deleted";
    verdict.certain = false;
  }
  return verdict;
}
}  // namespace

Verdict judge(const Value* job, const Value* pod) {
  if (job == nullptr) return {.stage = Stage::gone, .message = "its Job was deleted"};
  if (condition(job, "Complete") != nullptr)
    return {.stage = Stage::ended, .cause = Cause::finished, .message = ""};
  if (const Value* failed = condition(job, "Failed"); failed != nullptr)
    return judge_failed(failed, pod);
  const Value* spec = job->find("spec");
  if (spec != nullptr && spec->bool_or("suspend", false)) return {.stage = Stage::suspended};
  return judge_pod(pod);
}

std::string name_of(const Value& object) { return text(at(&object, {"metadata"}), "name"); }

std::string version_of(const Value& object) {
  return text(at(&object, {"metadata"}), "resourceVersion");
}

std::string job_of(const Value& pod) {
  return text(entry(at(&pod, {"metadata", "ownerReferences"}), "kind", "Job"), "name");
}

std::string annotation(const Value& object, std::string_view name) {
  return text(at(&object, {"metadata", "annotations"}), name);
}

bool is_being_deleted(const Value& object) {
  return at(&object, {"metadata", "deletionTimestamp"}) != nullptr;
}

}  // namespace mc::kube
