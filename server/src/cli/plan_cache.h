// Which jobs of a plan `exec` would not run again, found the way a worker finds it: the working
// tree is copied as `checkout` copies it, the key is computed, and the local cache is asked.
#pragma once

#include <memory>
#include <string>

#include "cli/doors.h"
#include "model/workflow.h"

namespace mc::cli {

class PlanCache {
 public:
  // All outlive this. `inputs` are resolved; `path` is the PATH that git and tar are found in.
  PlanCache(const Doors& doors, LocalOptions place, const WorkflowSpec& spec, const Value& inputs,
            std::string path);
  ~PlanCache();

  // {key, hit, saved_ms?, from_run?}; null when the key hangs on what is known only in a run, or
  // when the job has no `cache`. `matrix`: the cell, or null.
  Value look_up(const JobSpec& job, const Value* matrix);

 private:
  class Tree;
  Result<std::string> files_of(const JobSpec& job);

  const Doors& doors_;
  const LocalOptions place_;
  const WorkflowSpec& spec_;
  const Value& inputs_;
  const std::string path_;
  std::unique_ptr<Tree> full_, empty_;  // made when first wanted
};

}  // namespace mc::cli
