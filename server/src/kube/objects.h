// The Job that carries out one task, and the Secret that hands the task over. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/value.h"

namespace mc::kube {

// Where things are in the pod. The init container (Maestro's image) copies the program to
// `kProgram` and the task from `kSecret` to `kHandover`; the job's container starts the one with
// the other.
inline constexpr const char* kProgram = "/maestro/program";
inline constexpr const char* kSecret = "/maestro/secret";
inline constexpr const char* kHandover = "/maestro/handover";
inline constexpr const char* kWork = "/maestro/work";
inline constexpr const char* kTaskFile = "task.json";  // in the Secret, and handed over

// What a job may do after it was asked to end: the ladder, `finally` (5 minutes), the result.
inline constexpr int kGraceSeconds = 350;
inline constexpr int kTtlSeconds = 600;  // how long a Job that has ended is kept for people to see
inline constexpr std::size_t kSecretBytesMax = 1 << 20;

inline constexpr const char* kWorkerLabel = "maestro.dev/worker";
inline constexpr const char* kServerLabel = "maestro.dev/server";
inline constexpr const char* kTaskNote = "maestro.dev/task";
inline constexpr const char* kFenceNote = "maestro.dev/fence";
inline constexpr const char* kTakesNote = "maestro.dev/takes";

struct Resources {
  std::string cpu;     // "500m"; a request. Empty: none
  std::string memory;  // "512Mi"; request and limit. Empty: none
};

struct JobPlan {
  std::string name, namespace_name;
  std::string worker, server;  // label values
  std::string run, job;        // for people: labels
  std::string task_id;
  std::int64_t fence = 0;
  std::string takes;            // a note of its worker's for a later life of it
  std::string image;            // of the job
  std::string maestro_image;    // brings the program
  std::int64_t deadline_s = 0;  // of the whole Job
  Resources resources;
};

// Suspended: nothing starts before the Secret is there. Fulfils Pod Security `restricted`.
Value job_object(const JobPlan& plan);
// Owned by the Job with this uid: garbage collection removes it. `task` is the text handed over.
Value secret_object(const JobPlan& plan, const std::string& job_uid, const std::string& task);
// The merge patch that lets the Job begin.
Value resume_patch();

// The same for the same grant of the same task: "maestro-" and 20 digits.
std::string job_name(const std::string& task_id, std::int64_t fence);
// `text` as the value of a label: at most 63 characters of [A-Za-z0-9._-], alphanumeric at both
// ends.
std::string label_value(const std::string& text);
// Whether this is a quantity that Kubernetes takes for cpu or memory: "2", "0.5", "500m", "512Mi".
bool is_quantity(const std::string& text);

std::string jobs_path(const std::string& namespace_name);
std::string pods_path(const std::string& namespace_name);
std::string secrets_path(const std::string& namespace_name);

}  // namespace mc::kube
