#include "conductor/wait_text.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace mc::conductor {
namespace {
constexpr std::size_t kWorkersNamedMax = 5;

// "a, b and 3 more".
std::string name_some(const std::vector<std::string>& texts) {
  const std::size_t shown = std::min(texts.size(), kWorkersNamedMax);
  std::string text =
      join({texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(shown)}, ", ");
  if (shown < texts.size()) text += " and " + std::to_string(texts.size() - shown) + " more";
  return text;
}

// "1 of 4 slots, 3 CPUs of 4 CPUs in use".
std::string load_text(const Dispatcher& dispatcher, const WorkerInfo& worker,
                      const Resources& wanted) {
  std::string text =
      std::to_string(worker.running) + " of " + std::to_string(worker.slots) + " slots";
  const Resources used = dispatcher.in_use(worker.name);
  if (!suffices(worker.resources, used, wanted))
    text += ", " + to_text(used) + " of " + to_text(worker.resources) + " in use";
  return text;
}

std::string lack_text(const WorkerInfo& worker, const JobWants& wants) {
  const std::vector<std::string> lacks = labels_lacking(worker, wants.labels);
  if (!lacks.empty()) return worker.name + " lacks " + join(lacks, ", ");
  if (!suffices(worker.resources, {}, wants.resources))
    return worker.name + " has " + to_text(worker.resources) + " in all";
  return "";
}

// Whether projects that have less of the workers are served first. Tells nothing of them.
std::string share_text(const Dispatcher& dispatcher, const JobWants& wants) {
  if (!dispatcher.yields(wants)) return "";
  const FairShare share = dispatcher.share_of(wants.project);
  return "; projects share by weight: " + wants.project + " has " + std::to_string(share.running) +
         " running at weight " + std::to_string(share.weight) + ", and one with less goes first";
}

// Which workers a ready job waits for, and what keeps each of them from taking it.
std::string capacity_text(const Dispatcher& dispatcher, const JobWants& wants) {
  std::vector<std::string> busy;
  std::vector<std::string> draining;
  std::vector<std::string> lacking;
  for (const auto& [id, worker] : dispatcher.workers()) {
    std::string lacks = lack_text(worker, wants);
    if (!lacks.empty()) {
      lacking.push_back(std::move(lacks));
    } else if (worker.draining) {
      draining.push_back(worker.name + " (`maestro workers resume " + id + "`)");
    } else {
      busy.push_back(worker.name + " (" + load_text(dispatcher, worker, wants.resources) + ")");
    }
  }
  std::string needs = wants.labels.empty() ? "" : "the labels [" + join(wants.labels, ", ") + "]";
  if (!wants.resources.empty()) needs += (needs.empty() ? "" : " and ") + to_text(wants.resources);
  const std::string with = needs.empty() ? "" : " with " + needs;
  const std::string order =
      wants.priority == 0 ? "" : "; its priority is " + std::to_string(wants.priority);
  if (!busy.empty())
    return "every worker" + with + " is busy: " + name_some(busy) + order +
           share_text(dispatcher, wants);
  if (!draining.empty()) return "every worker" + with + " is draining: " + name_some(draining);
  if (needs.empty()) return "no worker is registered; start one with `maestro worker`";
  const std::string labels = wants.labels.empty() ? "" : " --labels " + join(wants.labels, ",");
  return "no registered worker has " + needs + "; start one with `maestro worker" + labels + "`" +
         (lacking.empty() ? "" : "; " + name_some(lacking));
}
}  // namespace

std::string wait_text(const engine::RunState& run, const engine::JobState& job,
                      const JobWants& wants, const LockTable& locks, const Dispatcher& dispatcher) {
  switch (job.reason) {
    case Reason::capacity: return capacity_text(dispatcher, wants);
    case Reason::approval:
      return "an approval by " +
             (job.detail->approval->request.by.empty()
                  ? std::string("any operator or admin")
                  : join(job.detail->approval->request.by, " or ")) +
             "; `maestro approve " + to_string(run.id) + " " + job.key + "`";
    case Reason::lock: {
      std::string text = "the concurrency group " + job.wait_detail + ", held by";
      for (const LockOwner& holder : locks.holders(job_group(run.facts.project, job.wait_detail))) {
        text += " run #" + std::to_string(holder.number);
      }
      return text;
    }
    case Reason::signal:
      return "the signal " + job.wait_detail + "; `maestro signal " + to_string(run.id) + " " +
             job.wait_detail + "`";
    case Reason::child: return "the child run of workflow " + job.wait_detail;
    case Reason::timer: return "the clock";
    case Reason::backoff: return "its next attempt, after: " + job.message;
    case Reason::upstream:
      return "the jobs it needs: " + std::to_string(job.open_needs) + " not over yet";
    case Reason::matrix_limit: return "max_parallel of its matrix";
    case Reason::cancel: return "the worker " + job.worker + " to stop it";
    case Reason::none: return job.status == JobStatus::running ? "it runs on " + job.worker : "";
    case Reason::schedule:
    case Reason::quota:
    case Reason::policy:
    case Reason::worker:
    case Reason::settling: return std::string(to_name(job.reason));
  }
  return "";
}
}  // namespace mc::conductor
