#include "worker/task_run.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/json.h"
#include "base/sha256.h"
#include "worker/globs.h"
#include "worker/launcher.h"

namespace mc::worker {
namespace {
constexpr std::size_t kDigestShown = 16;

std::vector<std::string> secret_values(const Value& spec) {
  std::vector<std::string> values;
  const Value* secrets = spec.find("secrets");
  if (secrets == nullptr || !secrets->is_object()) return values;
  for (const auto& [name, value] : secrets->as_object()) {
    if (value.is_string()) values.push_back(value.as_string());
  }
  return values;
}

std::string traceparent(const Task& task) {
  std::string trace = to_string(task.run_id);
  std::erase(trace, '-');
  return "00-" + trace + "-" + sha256_hex(task.task_id).substr(0, kDigestShown) + "-01";
}
}  // namespace

Failure failure_of(const Error& error) {
  const bool machine = error.code == Code::store_failed || error.code == Code::unreachable ||
                       error.code == Code::unavailable || error.code == Code::internal ||
                       error.code == Code::overloaded || error.code == Code::shutting_down ||
                       error.code == Code::rate_limited || error.code == Code::data_folder;
  return {machine ? FailureKind::infra : FailureKind::user, error.message};
}

std::string home_marker(const std::string& data) {
  std::error_code unknown;
  const std::string path = std::filesystem::weakly_canonical(data, unknown).string();
  return "MAESTRO_WORKER_HOME=" + sha256_hex(path).substr(0, kDigestShown) + "/";
}

std::string worker_marker(const RunSettings& settings) {
  return home_marker(settings.data) + settings.life;
}

TaskRun::TaskRun(Parts parts)
    : parts_(std::move(parts)),
      log_(parts_.send_log, secret_values(parts_.spec), parts_.settings.logs) {
  for (const char* root : {"inputs", "needs", "matrix", "vars", "secrets", "run", "event"}) {
    const Value* given = parts_.spec.find(root);
    contexts_.set(root, given != nullptr ? *given : Value(Object{}));
  }
  contexts_.set("steps", Object{});
  contexts_.set("env", Object{});
  const auto limit = parts_.job.timeout_run.count() > 0 ? Duration(parts_.job.timeout_run)
                                                        : parts_.settings.job_timeout;
  deadline = Steady::now() + limit;
  status.cancelled = parts_.control.cancelled();
}

TaskRun::~TaskRun() = default;

Result<Workspace*> TaskRun::workspace() {
  if (!workspace_) {
    auto made = Workspace::create(settings().data, task().task_id);
    if (!made.ok()) return made.error();
    workspace_.emplace(std::move(*made));
  }
  return &*workspace_;
}

std::string TaskRun::run_fact(std::string_view name) const {
  const Value* run = contexts_.find("run");
  if (run == nullptr || !run->is_object()) return {};
  const Value* fact = run->find(name);
  if (fact == nullptr) return {};
  if (fact->is_string()) return fact->as_string();
  return fact->is_null() ? std::string() : to_json(*fact);
}

void TaskRun::set_env_context(const Environment& shown) { contexts_.set("env", shown.object()); }

void TaskRun::add_step_context(const std::string& id, StepStatus step_status, const Value& outputs,
                               std::optional<int> exit_code) {
  Object step;
  step.emplace_back("status", to_name(step_status));
  step.emplace_back("outputs", outputs);
  step.emplace_back("exit_code", exit_code ? Value(*exit_code) : Value());
  for (auto& [name, value] : contexts_.as_object()) {
    if (name != "steps") continue;
    value.set(id, Value(std::move(step)));
    return;
  }
}

lang::Scope TaskRun::scope() const {
  lang::Scope scope;
  scope.context = [this](std::string_view root) { return contexts_.find(root); };
  scope.status = status;
  scope.hash_files = [this](const std::vector<std::string>& globs) -> Result<std::string> {
    if (!workspace_) return sha256_hex("");
    return hash_files(workspace_->files(), globs);
  };
  return scope;
}

Status TaskRun::add_bindings(const Bindings& bindings, Environment& to) {
  for (const auto& [name, text] : bindings) {
    const auto value = lang::evaluate_text(text, scope());
    if (!value.ok())
      return Error{value.error().code, "env " + name + ": " + value.error().message, {}};
    if (value->find('\0') != std::string::npos)
      return Error{Code::invalid_field, "env " + name + " holds a zero byte", {}};
    to.set(name, *value);
  }
  return {};
}

Status TaskRun::evaluate_env() {
  Bindings workflow;
  if (const Value* given = spec().find("env"); given != nullptr && given->is_object()) {
    for (const auto& [name, value] : given->as_object()) {
      workflow.emplace_back(name, value.is_string() ? value.as_string() : to_json(value));
    }
  }
  if (Status added = add_bindings(workflow, env); !added) return added;
  set_env_context(env);
  if (Status added = add_bindings(job().env, env); !added) return added;
  set_env_context(env);
  return {};
}

Environment TaskRun::process_env(const Environment& extra, const std::string& step) const {
  Environment out = inherited(settings().environment, settings().pass_env);
  if (workspace_) out.set("TMPDIR", workspace_->temp());
  out.set_all(extra);
  out.set("CI", "true");
  out.set("MAESTRO_RUN_ID", to_string(task().run_id));
  out.set("MAESTRO_JOB_ID", task().job);
  if (!step.empty()) out.set("MAESTRO_STEP_ID", step);
  out.set("MAESTRO_ATTEMPT", std::to_string(task().attempt));
  out.set("MAESTRO_WORKFLOW", spec().string_or("workflow", ""));
  out.set("MAESTRO_ENVIRONMENT", "");  // there for `set -u`; only jobs that deploy have one
  out.set("MAESTRO_ACTOR", run_fact("actor"));
  out.set("MAESTRO_URL", run_fact("url"));
  out.set("TRACEPARENT", traceparent(task()));
  out.set("MAESTRO_TASK_ID", task().task_id);
  const std::string home = worker_marker(settings());
  out.set(home.substr(0, home.find('=')), home.substr(home.find('=') + 1));
  if (workspace_) {
    out.set("MAESTRO_ARTIFACTS_DIR", workspace_->artifacts());
    out.set("MAESTRO_WORKSPACE", workspace_->files());
    if (job().services.size() == 1) {
      out.set("MAESTRO_SERVICE_DIR", workspace_->services() + "/" + job().services[0].name);
    }
  }
  return out;
}

Result<Finished> TaskRun::run_command(const SpawnOptions& options, const std::string& step,
                                      const Supervision& how) {
  auto process = spawn(options);
  if (!process.ok()) return process.error();
  spawned = true;
  log_.add(std::move(process->out()), step, "stdout");
  log_.add(std::move(process->err()), step, "stderr");
  Finished finished = supervise(*process, control(), settings().ladder, how);
  if (finished.stop == Stop::lost) log_.discard();
  log_.settle(step);
  return finished;
}

}  // namespace mc::worker
