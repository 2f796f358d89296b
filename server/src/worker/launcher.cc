#include "worker/launcher.h"

#include "base/sha256.h"
#include "worker/task_run.h"

namespace mc::worker {
namespace {
constexpr auto kStartContainer = std::chrono::minutes(10);  // pulling an image takes its time
constexpr auto kTrySandbox = std::chrono::seconds(30);
constexpr auto kRemoveContainer = std::chrono::seconds(30);
constexpr std::size_t kNameDigits = 16;
// The container's first process: waits, and takes in what ends without a parent. (--init would
// need a program that podman only recommends.)
constexpr const char* kIdle = "while :; do sleep 3600 & wait; done";

class Plain final : public Launcher {
 public:
  SpawnOptions wrap(std::vector<std::string> argv, const std::string& folder,
                    const Environment& env) const override {
    return {.argv = std::move(argv), .env = env.list(), .folder = folder, .path = env.get("PATH")};
  }
};

// A read-only machine with the task's own folders writable, a /tmp of its own and the network.
class Sandbox final : public Launcher {
 public:
  Sandbox(std::string bwrap, std::string folder)
      : bwrap_(std::move(bwrap)), folder_(std::move(folder)) {}
  SpawnOptions wrap(std::vector<std::string> argv, const std::string& folder,
                    const Environment& env) const override {
    std::vector<std::string> whole{bwrap_,
                                   "--die-with-parent",
                                   "--unshare-pid",
                                   "--unshare-ipc",
                                   "--ro-bind",
                                   "/",
                                   "/",
                                   "--dev",
                                   "/dev",
                                   "--proc",
                                   "/proc",
                                   "--tmpfs",
                                   "/tmp",
                                   "--bind",
                                   folder_,
                                   folder_,
                                   "--chdir",
                                   folder,
                                   "--"};
    whole.insert(whole.end(), argv.begin(), argv.end());
    return {.argv = std::move(whole), .env = env.list(), .folder = folder, .path = env.get("PATH")};
  }

 private:
  std::string bwrap_, folder_;
};

// One container for the whole job; commands run in it by `exec`. The folders have the same paths
// inside and outside.
class Container final : public Launcher {
 public:
  Container(TaskRun& run, std::string runtime, std::string name)
      : run_(run), runtime_(std::move(runtime)), name_(std::move(name)) {}
  ~Container() override {
    TaskControl alone;  // a cancel must not keep the container
    const Environment env = run_.process_env({}, "");
    auto process = spawn({.argv = {runtime_, "rm", "-f", name_}, .env = env.list(), .folder = "/"});
    if (process.ok())
      supervise(*process, alone, run_.settings().ladder,
                {.deadline = Steady::now() + kRemoveContainer});
  }

  SpawnOptions wrap(std::vector<std::string> argv, const std::string& folder,
                    const Environment& env) const override {
    std::vector<std::string> whole{runtime_, "exec", "-w", folder};
    for (const std::string& name : env.names()) {
      // The image has its own idea of these.
      if (name == "PATH" || name == "HOME" || name == "USER") continue;
      whole.insert(whole.end(),
                   {"-e", name});  // the value comes from our environment, unseen by `ps`
    }
    whole.push_back(name_);
    whole.insert(whole.end(), argv.begin(), argv.end());
    return {.argv = std::move(whole), .env = env.list(), .folder = folder, .path = env.get("PATH")};
  }

 private:
  TaskRun& run_;
  std::string runtime_, name_;
};

Result<std::unique_ptr<Launcher>> start_container(TaskRun& run, const std::string& image) {
  if (const Status named = check_image(image); !named) return named.error();
  const Environment env = run.process_env({}, "");
  const auto runtime = find_container_runtime(env.get("PATH"));
  if (!runtime.ok()) return runtime.error();
  const std::string folder = (*run.workspace())->folder();
  const std::string name = "maestro-" + sha256_hex(run.task().task_id).substr(0, kNameDigits);
  SpawnOptions start{
      // What it says of itself is the container's id: nothing for the job's log.
      .argv = {"sh", "-c", "exec \"$@\" > /dev/null", "sh", *runtime, "run", "-d", "--rm", "--name",
               name, "--stop-signal", "SIGKILL", "--network", "host", "-v", folder + ":" + folder,
               "-w", (*run.workspace())->files()},
      .env = env.list(),
      .folder = folder};
  add_markers(run, start.argv);
  start.argv.insert(start.argv.end(), {image, "sh", "-c", kIdle});
  auto made = std::make_unique<Container>(run, *runtime, name);
  const auto started = run.run_command(
      start, "", {.deadline = std::min(run.deadline, Steady::now() + kStartContainer)});
  if (!started.ok()) return started.error();
  if (step_status(*started) != StepStatus::succeeded) {
    return Error{Code::unavailable,
                 "the container " + image + " could not be started: " + describe(*started),
                 {}};
  }
  return std::unique_ptr<Launcher>(std::move(made));
}
// bubblewrap that is there may still be forbidden to work: in a chroot, in some containers.
Result<std::unique_ptr<Launcher>> start_sandbox(TaskRun& run, const std::string& bwrap) {
  const std::string folder = (*run.workspace())->folder();
  auto made = std::make_unique<Sandbox>(bwrap, folder);
  const auto tried =
      run.run_command(made->wrap({"true"}, folder, run.process_env({}, "")), "",
                      {.deadline = std::min(run.deadline, Steady::now() + kTrySandbox)});
  if (!tried.ok()) return tried.error();
  if (step_status(*tried) != StepStatus::succeeded) {
    return Error{Code::unavailable,
                 "this job wants a sandbox, and bubblewrap cannot make one on this worker (" +
                     describe(*tried) +
                     "; its own words are in the log); send the job to another worker with runs_on",
                 {}};
  }
  return std::unique_ptr<Launcher>(std::move(made));
}
}  // namespace

Status check_image(const std::string& image) {
  if (!image.empty() && !image.starts_with('-')) return {};
  return Error{Code::invalid_field, "`" + image + "` is no container image", {}};
}

void add_markers(const TaskRun& run, std::vector<std::string>& argv) {
  const std::string home = worker_marker(run.settings());
  argv.insert(argv.end(), {"-e", "MAESTRO_TASK_ID", "-e", home.substr(0, home.find('='))});
}

Result<std::string> find_container_runtime(const std::string& path) {
  for (const char* name : {"podman", "docker"}) {
    auto found = find_program(name, path);
    if (found.ok()) return found;
  }
  return Error{Code::unavailable,
               "this job wants a container, and there is neither podman nor docker on this worker; "
               "install one, or "
               "send the job to another worker with runs_on",
               {}};
}

Result<std::unique_ptr<Launcher>> make_launcher(TaskRun& run) {
  if (run.settings().contained) return std::unique_ptr<Launcher>(std::make_unique<Plain>());
  if (!run.job().container_image.empty()) {
    const auto image = lang::evaluate_text(run.job().container_image, run.scope());
    if (!image.ok()) return image.error();
    return start_container(run, *image);
  }
  if (!run.job().sandbox) return std::unique_ptr<Launcher>(std::make_unique<Plain>());
  const auto bwrap = find_program("bwrap", run.process_env({}, "").get("PATH"));
  if (!bwrap.ok()) {
    return Error{Code::unavailable,
                 "this job wants a sandbox, and there is no bubblewrap (bwrap) on this worker; "
                 "install it, or send "
                 "the job to another worker with runs_on",
                 {}};
  }
  return start_sandbox(run, *bwrap);
}

}  // namespace mc::worker
