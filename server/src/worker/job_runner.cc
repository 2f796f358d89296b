#include "worker/job_runner.h"

#include <algorithm>
#include <filesystem>

#include "base/clip.h"
#include "base/json.h"
#include "base/text.h"
#include "lang/functions.h"
#include "lang/parse.h"
#include "wire/own_json.h"
#include "worker/env_file.h"
#include "worker/job_cache.h"
#include "worker/launcher.h"
#include "worker/phases.h"
#include "worker/services.h"
#include "worker/storage.h"
#include "worker/sweep.h"
#include "worker/task_run.h"

namespace mc::worker {
namespace {
namespace fs = std::filesystem;
constexpr auto kKillPatience = std::chrono::seconds(20);
constexpr std::size_t kMessageBytesMax = 4096;

TaskResult refused(const Task& task, const Error& error) {
  std::string message = error.message;
  for (const Problem& problem : error.problems) message += "; " + problem.message;
  return {.task_id = task.task_id,
          .fence = task.fence,
          .outcome = Outcome::failed,
          .failure_kind = FailureKind::user,
          .message = clip(message, kMessageBytesMax)};
}

std::size_t size_of(const Value& value) {
  return value.is_string() ? value.as_string().size() : to_json(value).size();
}

// The job's `outputs`. Errors: from expressions; limit_exceeded.
Status give_outputs(TaskRun& run, TaskResult& result) {
  std::size_t total = 0;
  for (const auto& [name, text] : run.job().outputs) {
    auto value = lang::evaluate_template(text, run.scope());
    if (!value.ok())
      return Error{value.error().code, "outputs." + name + ": " + value.error().message, {}};
    const std::size_t size = size_of(*value);
    total += size;
    if (size > kOutputBytesMax || total > kOutputsBytesMax) {
      const bool one = size > kOutputBytesMax;
      return Error{Code::limit_exceeded,
                   (one ? "output `" + name + "` has " : "the outputs together have at least ") +
                       std::to_string(one ? size : total) + " bytes, at most " +
                       format_size(one ? kOutputBytesMax : kOutputsBytesMax) +
                       " are allowed; keep more as an artifact (artifact/upload)",
                   {}};
    }
    // Outputs are strings; what is missing stays null, so that default() can see it.
    result.outputs.set(name,
                       value->is_null() ? Value() : Value(run.log().masked(lang::to_text(*value))));
  }
  return {};
}

Status give_artifacts(TaskRun& run) {
  for (const ArtifactSpec& spec : run.job().artifacts) {
    const auto name = lang::evaluate_text(spec.name, run.scope());
    if (!name.ok()) return name.error();
    const auto path = lang::evaluate_text(spec.path, run.scope());
    if (!path.ok()) return path.error();
    const auto sent = upload(run, *name, {*path}, spec.keep);
    if (!sent.ok())
      return Error{sent.error().code, "artifact `" + *name + "`: " + sent.error().message, {}};
    run.say("", "[maestro: uploaded artifact `" + *name + "` (" + format_size(sent->size) + ")]");
  }
  return {};
}

// Files and folders that scripts left in MAESTRO_ARTIFACTS_DIR, each an artifact by its name.
Status give_left_artifacts(TaskRun& run) {
  if (!run.has_workspace()) return {};
  Workspace& workspace = **run.workspace();
  std::error_code failed;
  std::vector<std::string> names;
  for (fs::directory_iterator it(workspace.artifacts(), failed), end; !failed && it != end;
       it.increment(failed)) {
    names.push_back(it->path().filename().string());
  }
  std::ranges::sort(names);
  for (const std::string& name : names) {
    // Uploads look below the workspace's files: the folder is shown to them there.
    const std::string inside = workspace.files() + "/" + name;
    const std::string shown = fs::exists(fs::symlink_status(inside, failed))
                                  ? workspace.files() + "/.maestro-artifact-" + name
                                  : inside;
    fs::rename(workspace.artifacts() + "/" + name, shown, failed);
    const auto sent = upload(run, name, {fs::path(shown).filename().string()}, Millis(0));
    if (!sent.ok() && sent.error().code != Code::not_found) return sent.error();
  }
  return {};
}

class JobRunner {
 public:
  JobRunner(TaskRun& run, TaskResult& result) : run_(run), result_(result), phases_(run, result) {}

  void carry_out() {
    const JobSpec& job = run_.job();
    const bool compensating = run_.spec().string_or("phase", "") == "compensate";
    const auto& steps = compensating ? job.compensate : job.steps;
    if (const Status ready = run_.evaluate_env(); !ready) phases_.fail(failure_of(ready.error()));
    phases_.run_leading_checkouts(steps);
    JobCache cache(run_);
    const bool cached = job.cache && !compensating;
    if (cached && result_.outcome == Outcome::succeeded && reuse(cache, steps)) return;
    Services services(run_);
    if (result_.outcome == Outcome::succeeded) start_services(services);
    phases_.run_steps(steps);
    if (!compensating) {
      if (result_.outcome == Outcome::failed || result_.outcome == Outcome::timed_out) {
        phases_.run_on_failure(job.on_failure);
      }
      finish();
    }
    phases_.run_finally(compensating ? std::vector<StepSpec>() : job.finally);
    if (cached && result_.outcome == Outcome::succeeded) cache.save(result_, elapsed_ms());
  }

 private:
  std::int64_t elapsed_ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began_).count();
  }

  bool reuse(JobCache& cache, const std::vector<StepSpec>& steps) {
    const auto hit = cache.look_up(result_);
    if (!hit.ok()) phases_.fail(failure_of(hit.error()));
    if (!hit.ok() || !*hit) return false;
    phases_.skip_rest(steps);
    // What the job gives to others it gives again, now as this run's own.
    if (const Status given = give_artifacts(run_); !given) {
      phases_.fail(failure_of(given.error()));
      return true;
    }
    result_.outcome = Outcome::reused;
    return true;
  }

  void start_services(Services& services) {
    if (run_.job().services.empty()) return;
    const Status started = services.start();
    if (started.ok() || started.error().code == Code::conflict) return;
    const bool timed_out = started.error().code == Code::request_timeout;
    // A service that does not come up is most often the machine's fault: worth another try.
    phases_.fail({timed_out ? FailureKind::timeout : FailureKind::infra, started.error().message});
    run_.say("", "[maestro: " + started.error().message + "]");
  }

  // Outputs and artifacts: must all be there when the job has succeeded, may be when it has not.
  void finish() {
    if (run_.control().lost()) return;
    const bool succeeded = result_.outcome == Outcome::succeeded;
    const auto judge = [&](const Status& given) {
      if (!succeeded || given.ok()) return;
      Failure failure = failure_of(given.error());
      if (given.error().code == Code::not_found) failure.kind = FailureKind::user;
      phases_.fail(failure);
      run_.say("", "[maestro: " + failure.message + "]");
    };
    judge(give_outputs(run_, result_));
    judge(give_artifacts(run_));
    judge(give_left_artifacts(run_));
  }

  TaskRun& run_;
  TaskResult& result_;
  Phases phases_;
  Steady::time_point began_ = Steady::now();
};
}  // namespace

TaskResult run_task(const Task& task, const RunSettings& settings, client::WorkerApi& api,
                    TaskControl& control, SendLog send_log) {
  auto spec = parse_json(task.spec_json, wire::kOwnJson);
  if (!spec.ok()) return refused(task, spec.error());
  const Value* source = spec->find("job");
  auto job = lang::parse_job(task.job, source != nullptr ? *source : Value());
  if (!job.ok()) return refused(task, job.error());
  TaskResult result{.task_id = task.task_id, .fence = task.fence};
  TaskRun run({.task = task,
               .settings = settings,
               .api = api,
               .control = control,
               .send_log = std::move(send_log),
               .spec = std::move(*spec),
               .job = std::move(*job)});
  control.on_lost([&run] { run.log().discard(); });
  JobRunner(run, result).carry_out();
  run.launcher.reset();
  // What a container runs has other parents.
  const bool left = run.spawned && (!run.job().container_image.empty() || has_orphans());
  if (left) kill_marked(run.marker(), kKillPatience);
  // Before the log is waited for: a job that filled the disk would else wait for room that only its
  // own end can make, where the server keeps logs on the same disk.
  run.drop_workspace();
  run.log().finish();
  control.on_lost(nullptr);
  result.artifacts = run.artifacts;
  for (Value& annotation : run.log().annotations()) {
    if (run.annotations.size() < kAnnotationsMax) run.annotations.push_back(std::move(annotation));
  }
  result.annotations = run.annotations;
  result.summary = run.summary;
  result.message = clip(run.log().masked(result.message), kMessageBytesMax);
  return result;
}

}  // namespace mc::worker
