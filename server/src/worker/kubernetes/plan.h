// The Job that a task asks for. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "kube/objects.h"
#include "model/resources.h"
#include "model/task.h"

namespace mc::worker {

struct PlanSettings {
  std::string namespace_name;
  std::string worker;             // its name
  std::vector<std::string> urls;  // of the servers
  std::string image;              // Maestro's; also of jobs without one
  kube::Resources resources;      // of jobs that say nothing
};

// Errors: what is wrong with the workflow: invalid_expression, invalid_field (an image).
Result<kube::JobPlan> plan_job(const Task& task, const PlanSettings& settings, Instant now);

// What a task takes, as its Job notes it, and back; nothing from what is no such note (a Job of an
// older Maestro).
std::string takes_note(const Resources& takes);
Resources read_takes(const std::string& note);

// A label that jobs of this worker for these servers have, and no others.
std::string server_label(const std::vector<std::string>& urls);
std::string selector_of(const PlanSettings& settings);

}  // namespace mc::worker
