#include "worker/step.h"

#include <fcntl.h>

#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "worker/actions/action.h"
#include "worker/env_file.h"
#include "worker/inside.h"
#include "worker/launcher.h"

namespace mc::worker {
namespace {
constexpr std::size_t kSummaryBytesMax = 1 << 20;

// The files through which a script answers.
struct Exchange {
  std::string script, output, env, summary, annotations;
};

Result<Exchange> make_exchange(TaskRun& run, const StepSpec& spec, int number) {
  const auto workspace = run.workspace();
  if (!workspace.ok()) return workspace.error();
  const std::string root = (*workspace)->folder();
  std::error_code known;  // the job may have removed it; what else is wrong shows below
  std::filesystem::create_directories((*workspace)->exchange(), known);
  const std::string stem = (*workspace)->exchange() + "/" + std::to_string(number) + ".";
  Exchange files{stem + "sh", stem + "output", stem + "env", stem + "summary",
                 stem + "annotations"};
  for (const std::string& path : {files.output, files.env, files.summary, files.annotations}) {
    if (Status made = replace_inside(root, path, ""); !made) return made.error();
  }
  if (Status made = replace_inside(root, files.script, spec.run); !made) return made.error();
  return files;
}

// What has been written to an exchange file, a file that is gone being an empty one. Errors:
// limit_exceeded: more than is ever taken, with how much there is; as of open_inside.
Result<std::string> read_exchange(TaskRun& run, const std::string& path, std::string_view what) {
  const auto fd = open_inside((*run.workspace())->folder(), path, O_RDONLY);
  if (!fd.ok() && fd.error().code == Code::not_found) return std::string();
  if (!fd.ok()) {
    return Error{fd.error().code,
                 std::string(what) + ": " + fd.error().message +
                     "; it must stay the regular file that it was",
                 {}};
  }
  auto text = read_all(*fd, path, kEnvFileBytesMax);
  if (text.ok() || text.error().code != Code::too_large) return text;
  std::error_code unknown;
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path, unknown));
  return Error{Code::limit_exceeded,
               std::string(what) + " has " + format_size(size) + ", at most " +
                   format_size(kOutputsBytesMax) +
                   " are allowed; keep more as an artifact (artifact/upload)",
               {}};
}

Result<EnvPairs> read_pairs(TaskRun& run, const std::string& path, std::string_view what) {
  const auto text = read_exchange(run, path, what);
  if (!text.ok()) return text.error();
  return parse_env_file(*text, what);
}

Status take_env(TaskRun& run, const Exchange& files) {
  const auto pairs = read_pairs(run, files.env, "MAESTRO_ENV");
  if (!pairs.ok()) return pairs.error();
  for (const auto& [name, value] : *pairs) {
    if (name.starts_with("MAESTRO_")) {
      return Error{Code::invalid_field,
                   "MAESTRO_ENV: " + name + " cannot be set, MAESTRO_ names are Maestro's own",
                   {}};
    }
    run.env.set(name, value);
  }
  return {};
}

// Takes in what the script wrote. Errors: its outputs or variables are malformed or too large.
Status take_answers(TaskRun& run, const Exchange& files, StepOutcome& outcome) {
  if (const auto text = read_exchange(run, files.summary, "MAESTRO_SUMMARY"); !text.ok()) {
    run.say(outcome.result.id, "[maestro: the summary was dropped: " + text.error().message + "]");
  } else {
    const std::string summary = run.log().masked(to_valid_utf8(*text));
    if (run.summary.size() + summary.size() <= kSummaryBytesMax) {
      run.summary += summary;
    } else {
      run.say(outcome.result.id, "[maestro: MAESTRO_SUMMARY has more than 1 MiB and was dropped]");
    }
  }
  if (const auto text = read_exchange(run, files.annotations, "MAESTRO_ANNOTATIONS"); text.ok()) {
    for (Value& found : parse_annotations(run.log().masked(*text))) {
      if (run.annotations.size() < kAnnotationsMax) run.annotations.push_back(std::move(found));
    }
  }
  if (Status taken = take_env(run, files); !taken) return taken;
  const auto outputs = read_pairs(run, files.output, "MAESTRO_OUTPUT");
  if (!outputs.ok()) return outputs.error();
  for (const auto& [name, value] : *outputs)
    outcome.outputs.set(name, run.log().masked(to_valid_utf8(value)));
  return {};
}

Result<std::string> working_folder(TaskRun& run, const StepSpec& spec) {
  const std::string root = (*run.workspace())->files();
  const auto folder = lang::evaluate_text(spec.working_directory, run.scope());
  if (!folder.ok()) return folder.error();
  std::error_code unknown;
  if (!std::filesystem::is_directory(root, unknown))
    return Error{Code::invalid_field, "the workspace is gone: a step of this job removed it", {}};
  if (folder->empty()) return root;
  const std::string path = folder->starts_with('/') ? *folder : root + "/" + *folder;
  if (!std::filesystem::is_directory(path, unknown)) {
    return Error{Code::invalid_field, "working_directory " + *folder + " does not exist", {}};
  }
  return path;
}

Result<Finished> run_script(TaskRun& run, const StepSpec& spec, const StepPlace& place,
                            const Environment& env, const Exchange& files,
                            Steady::time_point deadline) {
  if (!run.launcher) {
    auto launcher = make_launcher(run);
    if (!launcher.ok()) return launcher.error();
    run.launcher = std::move(*launcher);
  }
  const auto folder = working_folder(run, spec);
  if (!folder.ok()) return folder.error();
  Environment all = run.process_env(env, place.label);
  all.set("MAESTRO_OUTPUT", files.output);
  all.set("MAESTRO_ENV", files.env);
  all.set("MAESTRO_SUMMARY", files.summary);
  all.set("MAESTRO_ANNOTATIONS", files.annotations);
  std::vector<std::string> argv =
      spec.shell == Shell::bash ? std::vector<std::string>{"bash", "--noprofile", "--norc",
                                                           "-euo", "pipefail",    files.script}
                                : std::vector<std::string>{"sh", "-eu", files.script};
  return run.run_command(run.launcher->wrap(std::move(argv), *folder, all), place.label,
                         {.deadline = deadline, .heed_cancel = place.heed_cancel});
}

Failure failure_of(const Finished& finished) {
  FailureKind kind = FailureKind::user;
  if (finished.out_of_memory) kind = FailureKind::oom;
  if (finished.stop == Stop::timed_out) kind = FailureKind::timeout;
  return {kind, describe(finished)};
}

void run_shell(TaskRun& run, const StepSpec& spec, const StepPlace& place, const Environment& env,
               Steady::time_point deadline, StepOutcome& outcome) {
  const auto fail = [&](const Error& error) {
    outcome.result.status = StepStatus::failed;
    outcome.failure = worker::failure_of(error);
  };
  const auto files = make_exchange(run, spec, place.number);
  if (!files.ok()) return fail(files.error());
  const auto finished = run_script(run, spec, place, env, *files, deadline);
  if (!finished.ok()) return fail(finished.error());
  outcome.result.status = step_status(*finished);
  outcome.result.signal = finished->ended.signal;
  outcome.result.exit_code = finished->ended.exit_code;
  const Status taken = take_answers(run, *files, outcome);
  if (outcome.result.status != StepStatus::succeeded) {
    outcome.failure = failure_of(*finished);
  } else if (!taken) {
    fail(taken.error());
  }
}

void run_action(TaskRun& run, const StepSpec& spec, const StepPlace& place, const Environment& env,
                Steady::time_point deadline, StepOutcome& outcome) {
  ActionCall call{.run = run,
                  .step = place.label,
                  .env = env,
                  .deadline = deadline,
                  .heed_cancel = place.heed_cancel};
  for (const auto& [name, text] : spec.with) {
    const auto value = lang::evaluate_text(text, run.scope());
    if (!value.ok()) {
      outcome.result.status = StepStatus::failed;
      outcome.failure = Failure{FailureKind::user, "with." + name + ": " + value.error().message};
      return;
    }
    call.with.emplace_back(name, *value);
  }
  ActionResult done = perform(spec.uses, call);
  outcome.outputs = std::move(done.outputs);
  outcome.failure = std::move(done.failure);
  outcome.result.status = outcome.failure ? StepStatus::failed : StepStatus::succeeded;
  if (outcome.failure && outcome.failure->kind == FailureKind::timeout)
    outcome.result.status = StepStatus::timed_out;
  if (outcome.failure && run.control().cancelled() && place.heed_cancel)
    outcome.result.status = StepStatus::cancelled;
}
}  // namespace

namespace {
// Settings of the step that are expressions.
Status settle(const TaskRun& run, const StepSpec& spec, Millis& timeout, bool& tolerated) {
  if (!spec.late_continue_on_error.empty()) {
    const auto value = lang::evaluate_template(spec.late_continue_on_error, run.scope());
    if (!value.ok()) return value.error();
    if (!value->is_bool())
      return Error{Code::invalid_field, "continue_on_error: a boolean is wanted", {}};
    tolerated = value->as_bool();
  }
  if (spec.late_timeout.empty()) return {};
  const auto text = lang::evaluate_text(spec.late_timeout, run.scope());
  if (!text.ok()) return text.error();
  const auto limit = parse_duration(*text);
  if (!limit || limit->count() == 0)
    return Error{
        Code::invalid_field, "timeout: a duration above 0 is wanted, not `" + *text + "`", {}};
  timeout = *limit;
  return {};
}
}  // namespace

std::string step_name(const TaskRun& run, const StepSpec& spec) {
  const auto name = lang::evaluate_text(spec.name, run.scope());
  return name.ok() ? *name : spec.name;
}

StepOutcome run_step(TaskRun& run, const StepSpec& spec, const StepPlace& place) {
  const auto began = Steady::now();
  StepOutcome outcome;
  outcome.result.id = place.label;
  Environment env = run.env;
  run.set_env_context(env);
  if (const Status added = run.add_bindings(spec.env, env); !added) {
    outcome.failure = worker::failure_of(added.error());
    outcome.result.status = StepStatus::failed;
  }
  run.set_env_context(env);
  outcome.result.name = step_name(run, spec);
  Millis timeout = spec.timeout;
  outcome.tolerated = spec.continue_on_error;
  if (const Status settled = settle(run, spec, timeout, outcome.tolerated); !settled) {
    outcome.failure = worker::failure_of(settled.error());
    outcome.result.status = StepStatus::failed;
  }
  auto deadline = place.deadline;
  if (timeout.count() > 0) deadline = std::min(deadline, began + timeout);
  if (!outcome.failure) {
    spec.uses.empty() ? run_shell(run, spec, place, env, deadline, outcome)
                      : run_action(run, spec, place, env, deadline, outcome);
  }
  run.set_env_context(run.env);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - began);
  outcome.result.duration_ms = took.count();
  if (outcome.failure) {
    outcome.failure->message = run.log().masked(outcome.failure->message);
    run.say(place.label, "[maestro: " + outcome.failure->message + "]");
  }
  return outcome;
}

}  // namespace mc::worker
