#include "worker/kubernetes/plan.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "base/sha256.h"
#include "base/text.h"
#include "lang/expression.h"
#include "lang/parse.h"
#include "wire/own_json.h"

namespace mc::worker {
namespace {
constexpr std::size_t kLabelDigits = 16;
// What the worker inside has to tell of a time-out of its own before the Job's deadline.
constexpr std::int64_t kDeadlineSlackS = 60;
constexpr std::int64_t kNoDeadlineS = 24LL * 3600;

// What templates outside of steps may mention.
lang::Scope scope_of(const Value& spec) {
  lang::Scope scope;
  scope.context = [&spec](std::string_view root) {
    static const Value kNothing = Object{};
    const Value* found = spec.find(root);
    return found != nullptr ? found : &kNothing;
  };
  return scope;
}

Error in(const std::string& where, const Error& error) {
  return {error.code, where + ": " + error.message, {}};
}

// As Kubernetes writes amounts.
kube::Resources requests_of(const Resources& job, const kube::Resources& fallback) {
  kube::Resources requests = fallback;
  if (job.cpu_milli > 0) requests.cpu = std::to_string(job.cpu_milli) + "m";
  constexpr std::int64_t kMi = 1 << 20;
  if (job.memory > 0) {
    requests.memory = job.memory % kMi == 0 ? std::to_string(job.memory / kMi) + "Mi"
                                            : std::to_string(job.memory);
  }
  return requests;
}

Result<std::string> image_of(const Value& spec, const JobSpec& job, const std::string& fallback) {
  if (job.container_image.empty()) return fallback;
  auto image = lang::evaluate_text(job.container_image, scope_of(spec));
  if (!image.ok()) return in("container.image", image.error());
  if (trim(*image).empty()) return Error{Code::invalid_field, "container.image: there is none", {}};
  return image;
}
}  // namespace

std::string takes_note(const Resources& takes) {
  return std::to_string(takes.cpu_milli) + " " + std::to_string(takes.memory);
}

Resources read_takes(const std::string& note) {
  Resources takes;
  const char* end = note.data() + note.size();
  const auto cpu = std::from_chars(note.data(), end, takes.cpu_milli);
  if (cpu.ec != std::errc{} || cpu.ptr == end || *cpu.ptr != ' ') return {};
  const auto memory = std::from_chars(cpu.ptr + 1, end, takes.memory);
  const bool fine =
      memory.ec == std::errc{} && memory.ptr == end && takes.cpu_milli >= 0 && takes.memory >= 0;
  return fine ? takes : Resources{};
}

Result<kube::JobPlan> plan_job(const Task& task, const PlanSettings& settings, Instant now) {
  auto spec = parse_json(task.spec_json, wire::kOwnJson);
  if (!spec.ok()) return spec.error();
  const Value* source = spec->find("job");
  auto job = lang::parse_job(task.job, source != nullptr ? *source : Value());
  if (!job.ok()) return job.error();
  kube::JobPlan plan{.name = kube::job_name(task.task_id, task.fence),
                     .namespace_name = settings.namespace_name,
                     .worker = kube::label_value(settings.worker),
                     .server = server_label(settings.urls),
                     .run = to_string(task.run_id),
                     .job = kube::label_value(task.job),
                     .task_id = task.task_id,
                     .fence = task.fence,
                     .takes = takes_note(job->resources),
                     .maestro_image = settings.image};
  auto image = image_of(*spec, *job, settings.image);
  if (!image.ok()) return image.error();
  plan.image = std::move(*image);
  plan.resources = requests_of(job->resources, settings.resources);
  plan.deadline_s =
      task.deadline ? (task.deadline - now).count() / 1000 + kDeadlineSlackS : kNoDeadlineS;
  return plan;
}

std::string server_label(const std::vector<std::string>& urls) {
  std::vector<std::string> sorted = urls;
  std::ranges::sort(sorted);
  return sha256_hex(join(sorted, ",")).substr(0, kLabelDigits);
}

std::string selector_of(const PlanSettings& settings) {
  return std::string(kube::kWorkerLabel) + "=" + kube::label_value(settings.worker) + "," +
         kube::kServerLabel + "=" + server_label(settings.urls);
}

}  // namespace mc::worker
