#include "bin/join_cluster.h"

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "kube/objects.h"
#include "worker/kubernetes/executor.h"

namespace mc::bin {
namespace {
constexpr std::size_t kFileMax = 4 << 20;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> read(const std::string& path) { return read_file(path, kFileMax); }

// --kubeconfig, else KUBECONFIG, else what a pod is given, else the file in the home folder.
Result<kube::Access> find_access(const std::string& given) {
  std::string path = given.empty() ? variable("KUBECONFIG") : given;
  const std::string host = variable("KUBERNETES_SERVICE_HOST");
  if (path.empty() && !host.empty())
    return kube::in_cluster(host, variable("KUBERNETES_SERVICE_PORT"), read);
  std::error_code unknown;
  if (path.empty()) {
    path = variable("HOME") + "/.kube/config";
    if (!std::filesystem::exists(path, unknown)) return kube::in_cluster("", "", read);
  }
  const auto text = read(path);
  if (!text.ok()) {
    return Error{
        Code::invalid_setting, "the kubeconfig cannot be read: " + text.error().message, {}};
  }
  auto access = kube::read_kubeconfig(*text, std::filesystem::absolute(path).parent_path(), read);
  if (access.ok()) return access;
  return Error{access.error().code, path + ": " + access.error().message, {}};
}

Status check_amount(const char* flag, const std::string& amount) {
  if (amount.empty() || kube::is_quantity(amount)) return {};
  return Error{
      Code::usage, std::string(flag) + ": `" + amount + "` is no amount (2, 500m; 512Mi, 2Gi)", {}};
}
}  // namespace

Result<std::unique_ptr<worker::Executor>> join_cluster(const cli::WorkerOptions& options,
                                                       const std::string& name) {
  const cli::KubernetesOptions& wanted = *options.kubernetes;
  if (Status good = check_amount("--cpu", wanted.cpu); !good) return good.error();
  if (Status good = check_amount("--memory", wanted.memory); !good) return good.error();
  auto access = find_access(wanted.kubeconfig);
  if (!access.ok()) return access.error();
  const std::string namespace_name =
      wanted.namespace_name.empty() ? access->namespace_name : wanted.namespace_name;
  if (namespace_name.empty())
    return Error{Code::usage, "--namespace is missing: where the Jobs are made", {}};
  worker::KubernetesOptions out;
  out.access = std::move(*access);
  out.plan = {.namespace_name = namespace_name,
              .worker = name,
              .urls = options.urls,
              .image = wanted.image,
              .resources = {.cpu = wanted.cpu, .memory = wanted.memory}};
  out.token = options.token;
  out.start_patience = wanted.start_patience;
  out.report = [](const std::string& text) { log_warn("kubernetes: " + text); };
  return worker::run_in_kubernetes(std::move(out));
}

}  // namespace mc::bin
