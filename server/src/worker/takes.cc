#include "worker/takes.h"

#include "base/json.h"
#include "lang/parse.h"
#include "wire/own_json.h"

namespace mc::worker {

Resources takes_of(const Task& task) {
  // Most jobs name none, and reading a spec costs as much as the rest of taking a task.
  if (task.spec_json.find("\"resources\"") == std::string::npos) return {};
  const auto spec = parse_json(task.spec_json, wire::kOwnJson);
  const Value* source = spec.ok() ? spec->find("job") : nullptr;
  if (source == nullptr) return {};
  const auto job = lang::parse_job(task.job, *source);
  return job.ok() ? job->resources : Resources{};
}

}  // namespace mc::worker
