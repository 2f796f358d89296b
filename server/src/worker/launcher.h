// How a job's commands are started: as they are, in a sandbox (bubblewrap) or in a container.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "worker/environment.h"
#include "worker/process.h"

namespace mc::worker {

class TaskRun;

class Launcher {
 public:
  virtual ~Launcher() = default;  // ends what it started
  // What to spawn so that `argv` runs in `folder` with `env`.
  virtual SpawnOptions wrap(std::vector<std::string> argv, const std::string& folder,
                            const Environment& env) const = 0;
};

// The launcher that the job asks for. Requires: the workspace exists.
// Errors: unavailable (no bubblewrap or one that does not work here, no container runtime), others
// from starting the container.
Result<std::unique_ptr<Launcher>> make_launcher(TaskRun& run);

// podman, else docker, looked up in `path`. Errors: unavailable.
Result<std::string> find_container_runtime(const std::string& path);

// Errors: invalid_field: nothing, or something that the runtime would take for an option.
Status check_image(const std::string& image);

// Options of `run` that give a container's first process the marks by which a worker, or its guard
// after it was killed, finds and ends what a job left (sweep.h).
void add_markers(const TaskRun& run, std::vector<std::string>& argv);

}  // namespace mc::worker
