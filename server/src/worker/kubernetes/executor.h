// The executor whose tasks are Kubernetes Jobs (docs/adr/0012-kubernetes-jobs.md).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kube/access.h"
#include "worker/executor.h"
#include "worker/kubernetes/plan.h"

namespace mc::worker {

struct KubernetesOptions {
  kube::Access access;
  PlanSettings plan;
  std::string token;  // of the worker: the pods speak to the servers with it
  bool no_cache = false;
  // How long a pod may fail to start (an image that cannot be pulled) before its job does.
  Millis start_patience{120'000};
  // Told what an operator wants to know. Any thread.
  std::function<void(const std::string&)> report;
};

// Checks that the cluster can be used (kube/preflight.h), and begins to watch. Errors: those of the
// check; unreachable (no list of Jobs within a minute).
Result<std::unique_ptr<Executor>> run_in_kubernetes(KubernetesOptions options);

}  // namespace mc::worker
