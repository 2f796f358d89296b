#include "bin/pod.h"

#include <link.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "bin/work.h"
#include "cli/version.h"
#include "client/http_transport.h"
#include "kube/objects.h"
#include "worker/kubernetes/one_task.h"

namespace mc::bin {
namespace {
namespace fs = std::filesystem;
constexpr std::size_t kTaskBytesMax = 4 << 20;
constexpr std::size_t kAuthoritiesMax = 4 << 20;
constexpr const char* kAuthorities = "/etc/ssl/certs/ca-certificates.crt";
constexpr Millis kLook{1'000};
constexpr Millis kKillPatience{20'000};

int fail(const std::string& what) {
  log_error(what);
  return 1;
}

// Paths of what the loader has loaded for this program, itself included.
std::vector<std::string> loaded() {
  std::vector<std::string> paths;
  const auto note = [](dl_phdr_info* info, std::size_t, void* user) {
    const std::string path = info->dlpi_name;
    if (path.starts_with('/')) static_cast<std::vector<std::string>*>(user)->push_back(path);
    return 0;
  };
  dl_iterate_phdr(note, &paths);
  return paths;
}

Status copy(const std::string& from, const std::string& to) {
  std::error_code failed;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, failed);
  if (failed) return Error{Code::store_failed, from + " to " + to + ": " + failed.message(), {}};
  return {};
}

// The program as any image of this architecture can start it: by its own loader.
Status copy_program(const std::string& to) {
  std::error_code failed;
  fs::create_directories(to + "/lib", failed);
  if (Status done = copy("/proc/self/exe", to + "/maestro"); !done) return done;
  bool loader = false;
  for (const std::string& path : loaded()) {
    const std::string name = fs::path(path).filename().string();
    const bool is_loader = name.starts_with("ld-");
    loader = loader || is_loader;
    if (Status done = copy(path, is_loader ? to + "/loader" : to + "/lib/" + name); !done)
      return done;
  }
  if (!loader) return Error{Code::internal, "this program has no loader", {}};
  if (fs::exists(kAuthorities, failed)) return copy(kAuthorities, to + "/authorities.pem");
  return {};
}

int prepare(const std::string& secret, const std::string& program, const std::string& handover) {
  if (const Status done = copy_program(program); !done) return fail(done.error().message);
  const std::string name = std::string("/") + kube::kTaskFile;
  const auto task = read_file(secret + name, kTaskBytesMax);
  if (!task.ok()) return fail(task.error().message);
  const Status written = write_file(handover + name, *task, 0600);
  return written.ok() ? 0 : fail(written.error().message);
}

// What the image and the Job say of the environment is the job's; what Kubernetes adds is not.
std::vector<std::string> names_for_jobs() {
  std::vector<std::string> names;
  for (const std::string& variable : process_environment()) {
    const std::string name = variable.substr(0, variable.find('='));
    if (!name.starts_with("KUBERNETES_") && !name.starts_with("MAESTRO_")) names.push_back(name);
  }
  return names;
}

Result<worker::Handover> take_over(const std::string& file) {
  const auto text = read_file(file, kTaskBytesMax);
  if (!text.ok()) return text.error();
  // From here on no step can read it.
  if (::unlink(file.c_str()) != 0) return os_error(Code::store_failed, "cannot remove " + file);
  return worker::decode_handover(*text);
}

WorkSetup setup_for(worker::OneTask& one, const std::string& work, const std::string& ca_pem) {
  const worker::Handover& handover = one.handover();
  WorkSetup setup;
  setup.name = handover.worker;
  setup.slots = 1;
  setup.data = work;
  setup.pass_env = names_for_jobs();
  setup.no_cache = handover.no_cache;
  setup.contained = true;
  setup.connect_api = [&one, ca_pem] {
    const worker::Handover& from = one.handover();
    return one.connect(client::connect_worker(
        client::connect_http({.urls = from.urls, .token = from.token, .ca_pem = ca_pem})));
  };
  return setup;
}

int run(const std::string& task_file, const std::string& work, Signals& signals) {
  cli::Interrupts& interrupts = signals.interrupts();
  interrupts.handled = true;
  auto handover = take_over(task_file);
  if (!handover.ok()) return fail(handover.error().message);
  worker::OneTask one(std::move(*handover));
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path();
  const auto authorities = read_file((program / "authorities.pem").string(), kAuthoritiesMax);
  auto worker = start_worker(setup_for(one, work, authorities.ok() ? *authorities : ""));
  if (!worker.ok()) return fail(worker.error().message);
  auto end = worker::OneTask::End::none;
  bool told = false;
  while ((end = one.wait(kLook)) == worker::OneTask::End::none) {
    if (interrupts.count.load() > 0 && !std::exchange(told, true))
      log_info("asked to end: the job goes on until the pod's grace period is over");
  }
  const bool settled = end == worker::OneTask::End::settled;
  if (!settled) log_warn("the attempt is not ours any more: ending it");
  (*worker)->drain();
  (*worker)->wait_idle(kKillPatience);
  (*worker)->stop(Millis(0));
  return settled ? 0 : 1;
}
}  // namespace

int run_pod(const std::vector<std::string>& words, Signals& signals) {
  if (words.size() == 4 && words[0] == "prepare") return prepare(words[1], words[2], words[3]);
  if (words.size() == 3 && words[0] == "run") return run(words[1], words[2], signals);
  return fail("__pod is for pods: prepare SECRET PROGRAM HANDOVER, or run TASKFILE WORK");
}

}  // namespace mc::bin
