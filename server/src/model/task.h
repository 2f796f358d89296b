// What travels between server and worker: one job attempt to carry out, and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"
#include "base/value.h"
#include "model/resources.h"
#include "model/status.h"

namespace mc {

// One granted attempt. `spec` is JSON:
//   {workflow, key, name, phase, job: {…JobSpec::source…}, matrix: {…}, env: {workflow env, as
//   written},
//    inputs?, needs?: {key: {status, outputs}}, secrets?: {name: value}, vars?, event?,
//    run: {id, number, url, ref, commit, actor, trigger, attempt, repository?},
//    status: {success, failure, cancelled}, cache_scope, artifacts_keep_ms}
// `job` is read back with lang::parse_job. Contexts are there only when the job mentions them.
struct Task {
  std::string task_id;  // opaque to the worker
  std::int64_t fence = 0;
  Uuid run_id;
  std::string job;  // key, with its cell
  int attempt = 1;
  std::string spec_json;
  Instant deadline;      // when the server gives the attempt up
  Resources takes = {};  // of its worker, which notes it from `spec`; not sent
};

struct StepResult {
  std::string id;
  std::string name;
  StepStatus status = StepStatus::pending;
  std::optional<int> exit_code;
  int signal = 0;
  std::int64_t duration_ms = 0;
};

struct ArtifactRef {
  std::string name;
  std::string digest;  // "sha256:…"
  std::int64_t size = 0;
  std::string media_type;
  std::int64_t keep_ms = 0;
};

// What came of a job's cache key: shown on the job.
struct CacheResult {
  std::string key;
  bool hit = false;
  Uuid from_run;  // hit: the run whose outputs were restored
  std::string from_job;
  std::int64_t saved_ms = 0;  // hit: how long that job took
};

enum class Outcome : std::uint8_t { succeeded, failed, cancelled, timed_out, reused };

struct TaskResult {
  std::string task_id;
  std::int64_t fence = 0;
  Outcome outcome = Outcome::succeeded;
  FailureKind failure_kind = FailureKind::none;  // user unless said otherwise when failed
  std::optional<int> exit_code;
  int signal = 0;
  std::string message;
  Value outputs = Object{};  // name → string or JSON value; limits: 64 KiB each, 1 MiB a job
  std::vector<StepResult> steps;
  std::string summary;         // Markdown, 1 MiB
  Value annotations = List{};  // [{level, message, file?, line?, title?}]
  std::vector<ArtifactRef> artifacts;
  std::optional<CacheResult> cache;
};

}  // namespace mc
