#include "worker/services.h"

#include <poll.h>
#include <signal.h>

#include <array>
#include <filesystem>

#include "base/sha256.h"
#include "base/text.h"
#include "worker/launcher.h"

namespace mc::worker {
namespace {
constexpr int kBetweenLooksMs = 100;
constexpr auto kProbeTime = std::chrono::seconds(5);
constexpr auto kRemoveTime = std::chrono::seconds(30);

std::string label(const ServiceSpec& spec) { return "service:" + spec.name; }
}  // namespace

Status Services::start() {
  for (const ServiceSpec& spec : run_.job().services) {
    if (Status started = start_one(spec); !started) return started;
  }
  return {};
}

Status Services::start_one(const ServiceSpec& spec) {
  const auto workspace = run_.workspace();
  if (!workspace.ok()) return workspace.error();
  const std::string folder = (*workspace)->services() + "/" + spec.name;
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return Error{Code::store_failed, "cannot create " + folder + ": " + failed.message(), {}};
  Environment own = run_.env;
  if (Status added = run_.add_bindings(spec.env, own); !added) return added;
  Environment env = run_.process_env(own, label(spec));
  env.set("MAESTRO_SERVICE_DIR", folder);
  Running running;
  SpawnOptions options{
      .argv = {"bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", spec.run},
      .env = env.list(),
      .folder = folder,
      .path = env.get("PATH")};
  if (!spec.image.empty()) {
    const auto runtime = find_container_runtime(env.get("PATH"));
    if (!runtime.ok()) return runtime.error();
    const std::string name = "maestro-" + sha256_hex(run_.task().task_id + spec.name).substr(0, 16);
    if (const Status named = check_image(spec.image); !named) return named.error();
    options.argv = {*runtime, "run", "--rm", "--name", name};
    add_markers(run_, options.argv);
    for (const auto& [variable, text] : spec.env)
      options.argv.insert(options.argv.end(), {"-e", variable});
    for (const std::string& port : spec.ports)
      options.argv.insert(options.argv.end(), {"-p", port});
    options.argv.push_back(spec.image);
    running.remove = {*runtime, "rm", "-f", name};
  }
  auto process = spawn(options);
  if (!process.ok()) return process.error();
  run_.spawned = true;
  run_.log().add(std::move(process->out()), label(spec), "stdout");
  run_.log().add(std::move(process->err()), label(spec), "stderr");
  running.process = std::move(*process);
  running_.push_back(std::move(running));
  return wait_ready(spec, env, running_.back().process);
}

// Asks `ready` again and again until it says yes.
Status Services::wait_ready(const ServiceSpec& spec, const Environment& env, Process& process) {
  if (spec.ready.empty()) return {};
  const auto until = std::min(run_.deadline, Steady::now() + spec.timeout);
  while (Steady::now() < until) {
    if (const auto ended = process.try_wait()) {
      return Error{
          Code::internal,
          "service `" + spec.name + "` ended before it was ready: " + describe({.ended = *ended}),
          {}};
    }
    auto probe = spawn({.argv = {"bash", "--noprofile", "--norc", "-c", spec.ready},
                        .env = env.list(),
                        .folder = env.get("MAESTRO_SERVICE_DIR"),
                        .path = env.get("PATH")});
    if (!probe.ok()) return probe.error();
    // What a probe prints is nobody's concern: closed pipes.
    const auto asked =
        supervise(*probe, run_.control(), {.ask = Duration(0), .terminate = Duration(0)},
                  {.deadline = std::min(until, Steady::now() + kProbeTime)});
    if (asked.stop == Stop::cancelled || asked.stop == Stop::lost)
      return Error{Code::conflict, "cancelled", {}};
    if (step_status(asked) == StepStatus::succeeded) {
      run_.say(label(spec), "[maestro: service `" + spec.name + "` is ready]");
      return {};
    }
    std::array<pollfd, 2> fds{{{.fd = process.pidfd(), .events = POLLIN},
                               {.fd = run_.control().wake_fd(), .events = POLLIN}}};
    ::poll(fds.data(), fds.size(), kBetweenLooksMs);
  }
  return Error{Code::request_timeout,
               "service `" + spec.name + "` was not ready within " + format_duration(spec.timeout) +
                   " (" + spec.ready + ")",
               {}};
}

void Services::stop() {
  for (auto it = running_.rbegin(); it != running_.rend(); ++it) {
    TaskControl alone;  // a cancelled job's services are stopped just the same
    if (it->process.running()) {
      it->process.signal_group(SIGTERM);
      // The ladder from here on: it is asked once more at once, then killed.
      supervise(it->process, alone, run_.settings().ladder,
                {.deadline = Steady::now() + run_.settings().ladder.terminate});
    }
    if (it->remove.empty()) continue;
    const Environment env = run_.process_env({}, "");
    auto remove =
        spawn({.argv = it->remove, .env = env.list(), .folder = "/", .path = env.get("PATH")});
    if (remove.ok())
      supervise(*remove, alone, run_.settings().ladder, {.deadline = Steady::now() + kRemoveTime});
  }
  running_.clear();
}

}  // namespace mc::worker
