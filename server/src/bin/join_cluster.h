// The way from a command line to a Kubernetes cluster.
#pragma once

#include <memory>
#include <string>

#include "cli/doors.h"
#include "worker/executor.h"

namespace mc::bin {

// Requires: options.kubernetes. `name`: of the worker. Errors: invalid_setting (the kubeconfig),
// usage (an amount, a missing namespace), and those of worker/kubernetes/executor.h.
Result<std::unique_ptr<worker::Executor>> join_cluster(const cli::WorkerOptions& options,
                                                       const std::string& name);

}  // namespace mc::bin
