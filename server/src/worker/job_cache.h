// A job's `cache`: the same key means the job need not run again.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "lang/expression.h"
#include "worker/task_run.h"

namespace mc::worker {

// What decides whether a job was built before.
struct CacheKey {
  std::string shown;  // the key as written, evaluated
  std::string whole;  // with everything else that decides what the job makes
};
// The job's text, environment and matrix cell, the inputs, variables and outputs of jobs that it
// mentions, and the contents of `inputs` below `files` are part of the key whatever it says: a
// changed command must never be answered with what an old one made.
// Requires: job.cache; `job` as lang::parse_job gives it. Errors: invalid_expression and the like,
// as hash_files.
Result<CacheKey> job_cache_key(const JobSpec& job, const lang::Scope& scope, const Value& env,
                               const Value* matrix, const std::string& files);

class JobCache {
 public:
  explicit JobCache(TaskRun& run) : run_(run) {}

  // Evaluates the key (after the job's checkout steps) and looks it up. Hit: the kept files are
  // in the workspace and the result is complete but for its steps. A cache that cannot be asked,
  // or whose entry cannot be restored, is a miss. Errors: invalid_expression and the like from
  // the key.
  Result<bool> look_up(TaskResult& result);
  // After success: keeps the files and the job's outputs under the key.
  void save(const TaskResult& result, std::int64_t duration_ms);

 private:
  Status make_key();
  TaskRun& run_;
  CacheKey key_;
};

}  // namespace mc::worker
