#include "kube/objects.h"

#include <algorithm>

#include "base/sha256.h"
#include "base/text.h"

namespace mc::kube {
namespace {
constexpr std::int64_t kUser = 65532;  // "nonroot" of many images; images that want root get it too
constexpr std::int64_t kSecretMode = 0440;
constexpr std::size_t kNameDigits = 20;
constexpr std::size_t kLabelMax = 63;
constexpr const char* kHandoverSize = "8Mi";

Value mount(const char* name, const char* path, bool read_only = false) {
  Object out{{"name", name}, {"mountPath", path}};
  if (read_only) out.emplace_back("readOnly", true);
  return out;
}

Value container_security() {
  return Object{{"allowPrivilegeEscalation", false},
                {"runAsNonRoot", true},
                {"capabilities", Object{{"drop", List{"ALL"}}}},
                {"seccompProfile", Object{{"type", "RuntimeDefault"}}}};
}

Value pod_security() {
  return Object{{"runAsNonRoot", true},
                {"runAsUser", kUser},
                {"runAsGroup", kUser},
                {"fsGroup", kUser},
                {"seccompProfile", Object{{"type", "RuntimeDefault"}}}};
}

// CPU has no limit: a job that may use idle processors ends sooner and takes from nobody.
Value resources_of(const Resources& wanted) {
  Object requests;
  Object limits;
  if (!wanted.cpu.empty()) requests.emplace_back("cpu", wanted.cpu);
  if (!wanted.memory.empty()) {
    requests.emplace_back("memory", wanted.memory);
    limits.emplace_back("memory", wanted.memory);
  }
  return Object{{"requests", std::move(requests)}, {"limits", std::move(limits)}};
}

Value labels(const JobPlan& plan) {
  return Object{{"app.kubernetes.io/name", "maestro-job"},
                {"app.kubernetes.io/managed-by", "maestro"},
                {kWorkerLabel, plan.worker},
                {kServerLabel, plan.server},
                {"maestro.dev/run", plan.run},
                {"maestro.dev/job", plan.job}};
}

Value init_container(const JobPlan& plan) {
  return Object{{"name", "prepare"},
                {"image", plan.maestro_image},
                {"command", List{"maestro", "__pod", "prepare", kSecret, kProgram, kHandover}},
                {"resources", resources_of(plan.resources)},
                {"securityContext", container_security()},
                {"terminationMessagePolicy", "FallbackToLogsOnError"},
                {"volumeMounts", List{mount("secret", kSecret, true), mount("program", kProgram),
                                      mount("handover", kHandover)}}};
}

Value job_container(const JobPlan& plan) {
  const std::string program = kProgram;
  const std::string task = std::string(kHandover) + "/" + kTaskFile;
  return Object{{"name", "job"},
                {"image", plan.image},
                {"command", List{program + "/loader", "--library-path", program + "/lib",
                                 program + "/maestro", "__pod", "run", task, kWork}},
                {"workingDir", kWork},
                {"env", List{Object{{"name", "HOME"}, {"value", kWork}}}},
                {"resources", resources_of(plan.resources)},
                {"securityContext", container_security()},
                {"terminationMessagePolicy", "FallbackToLogsOnError"},
                {"volumeMounts", List{mount("program", kProgram, true),
                                      mount("handover", kHandover), mount("work", kWork)}}};
}

Value pod_spec(const JobPlan& plan) {
  return Object{
      {"restartPolicy", "Never"},
      {"automountServiceAccountToken", false},
      {"enableServiceLinks", false},
      {"terminationGracePeriodSeconds", kGraceSeconds},
      {"securityContext", pod_security()},
      {"initContainers", List{init_container(plan)}},
      {"containers", List{job_container(plan)}},
      {"volumes",
       List{Object{{"name", "secret"},
                   {"secret", Object{{"secretName", plan.name}, {"defaultMode", kSecretMode}}}},
            Object{{"name", "program"}, {"emptyDir", Object{}}},
            Object{{"name", "handover"},
                   {"emptyDir", Object{{"medium", "Memory"}, {"sizeLimit", kHandoverSize}}}},
            Object{{"name", "work"}, {"emptyDir", Object{}}}}}};
}

std::string collection(const char* api, const std::string& namespace_name, const char* kind) {
  return std::string(api) + "/namespaces/" + percent_encode(namespace_name) + "/" + kind;
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
}  // namespace

Value job_object(const JobPlan& plan) {
  return Object{
      {"apiVersion", "batch/v1"},
      {"kind", "Job"},
      {"metadata", Object{{"name", plan.name},
                          {"namespace", plan.namespace_name},
                          {"labels", labels(plan)},
                          {"annotations", Object{{kTaskNote, plan.task_id},
                                                 {kFenceNote, std::to_string(plan.fence)},
                                                 {kTakesNote, plan.takes}}}}},
      {"spec", Object{{"suspend", true},
                      {"parallelism", 1},
                      {"completions", 1},
                      {"backoffLimit", 0},
                      {"activeDeadlineSeconds", std::max<std::int64_t>(1, plan.deadline_s)},
                      {"ttlSecondsAfterFinished", kTtlSeconds},
                      {"template", Object{{"metadata", Object{{"labels", labels(plan)}}},
                                          {"spec", pod_spec(plan)}}}}}};
}

Value secret_object(const JobPlan& plan, const std::string& job_uid, const std::string& task) {
  const Value owner = Object{{"apiVersion", "batch/v1"},
                             {"kind", "Job"},
                             {"name", plan.name},
                             {"uid", job_uid},
                             {"controller", true}};
  return Object{{"apiVersion", "v1"},
                {"kind", "Secret"},
                {"metadata", Object{{"name", plan.name},
                                    {"namespace", plan.namespace_name},
                                    {"labels", labels(plan)},
                                    {"ownerReferences", List{owner}}}},
                {"type", "Opaque"},
                {"immutable", true},
                {"stringData", Object{{kTaskFile, task}}}};
}

Value resume_patch() { return Object{{"spec", Object{{"suspend", false}}}}; }

std::string job_name(const std::string& task_id, std::int64_t fence) {
  return "maestro-" + sha256_hex(task_id + "#" + std::to_string(fence)).substr(0, kNameDigits);
}

std::string label_value(const std::string& text) {
  std::string out = text.substr(0, kLabelMax);
  for (char& c : out) {
    if (!is_alphanumeric(c) && c != '.' && c != '_' && c != '-') c = '_';
  }
  while (!out.empty() && !is_alphanumeric(out.back())) out.pop_back();
  out.erase(out.begin(), std::ranges::find_if(out, is_alphanumeric));
  return out;
}

bool is_quantity(const std::string& text) {
  constexpr std::string_view kDigits = "0123456789";
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = std::string_view(text).substr(0, digits);
  const std::string suffix = text.substr(digits);
  if (number.empty() || number.find_first_of(kDigits) != 0 || std::ranges::count(number, '.') > 1)
    return false;
  if (number.back() == '.' || number.find_first_not_of("0.") == std::string_view::npos)
    return false;
  constexpr std::string_view kSuffixes[] = {"",  "m",  "k",  "M",  "G",  "T",  "P",
                                            "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  return std::ranges::find(kSuffixes, suffix) != std::end(kSuffixes);
}

std::string jobs_path(const std::string& namespace_name) {
  return collection("/apis/batch/v1", namespace_name, "jobs");
}
std::string pods_path(const std::string& namespace_name) {
  return collection("/api/v1", namespace_name, "pods");
}
std::string secrets_path(const std::string& namespace_name) {
  return collection("/api/v1", namespace_name, "secrets");
}

}  // namespace mc::kube
