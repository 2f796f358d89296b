// Random workflows, and random things that the outside does to their runs.
#pragma once

#include <fmt/format.h>

#include "base/rng.h"
#include "engine/rig_test.h"

namespace mc::engine {

inline std::string random_job(Rng& rng, int index) {
  std::string job = fmt::format("  j{}:\n", index);
  std::vector<std::string> needs;
  for (int i = 0; i < index; ++i) {
    if (rng.chance(0.35)) needs.push_back(fmt::format("j{}", i));
  }
  if (!needs.empty()) job += fmt::format("    needs: [{}]\n", fmt::join(needs, ", "));
  if (rng.chance(0.2)) {
    const char* conditions[] = {"always()",
                                "failure()",
                                "success()",
                                "cancelled()",
                                "inputs.flag",
                                "!inputs.flag",
                                "always() && inputs.flag"};
    job += fmt::format("    if: ${{{{ {} }}}}\n", conditions[rng.below(7)]);
  }
  if (rng.chance(0.2)) job += "    continue_on_error: true\n";
  switch (rng.below(8)) {
    case 0: return job + "    approve: {expires: 1h, count: 1}\n";
    case 1: return job + "    wait: 5m\n";
    case 2: return job + "    wait: {event: go, timeout: 1h}\n";
    case 3: return job + "    workflow: {name: other}\n";
    default: break;
  }
  if (rng.chance(0.3)) {
    job += fmt::format("    matrix: {{n: [1, 2, 3]}}\n    max_parallel: {}\n    fail_fast: {}\n",
                       1 + rng.below(3), rng.chance(0.5));
  }
  if (rng.chance(0.3)) job += "    retry: {attempts: 3, backoff: 1s, on: [any]}\n";
  if (rng.chance(0.2)) job += "    compensate: [{run: undo}]\n";
  if (rng.chance(0.2)) job += "    concurrency: {group: g, limit: 1}\n";
  return job + "    steps: [{run: x}]\n";
}

inline std::string random_workflow(Rng& rng) {
  std::string text = "inputs: {flag: {type: boolean, default: true}}\n";
  if (rng.chance(0.3)) text += "timeout: 30m\n";
  text += "jobs:\n";
  const int jobs = 1 + static_cast<int>(rng.below(7));
  for (int i = 0; i < jobs; ++i) text += random_job(rng, i);
  if (rng.chance(0.3)) text += "on_failure: {tell: {steps: [{run: x}]}}\n";
  if (rng.chance(0.4))
    text += "finally: {f1: {steps: [{run: x}]}, f2: {needs: f1, steps: [{run: x}]}}\n";
  return text;
}

// One thing that the outside may do to a node.
inline void poke(Rig& rig, Rng& rng, NodeIndex node, double luck) {
  RunState& run = rig.mutable_run();
  const JobState& job = run.jobs.at(node);
  switch (job.status) {
    case JobStatus::ready: return rig.grant(job.key);
    case JobStatus::running:
    case JobStatus::cancelling: {
      if (job.group) return;
      if (rng.chance(0.1 * (1 - luck)))
        return rig.take(lose_worker(run, node, job.fence, rig.ambient()));
      const Outcome outcomes[] = {Outcome::failed, Outcome::timed_out, Outcome::cancelled,
                                  Outcome::reused};
      return rig.complete(job.key, rig.result(job.key, rng.chance(luck) ? Outcome::succeeded
                                                                        : outcomes[rng.below(4)]));
    }
    case JobStatus::waiting:
      if (job.reason == Reason::approval) {
        return rig.take(decide_approval(run, node, {{"bob", "operator", {}}, rng.chance(luck), ""},
                                        rig.ambient()));
      }
      if (job.reason == Reason::child) {
        const RunStatus ends[] = {RunStatus::failed, RunStatus::cancelled, RunStatus::timed_out,
                                  RunStatus::denied};
        return rig.take(
            finish_child(run, node,
                         {.attempt = job.attempt,
                          .status = rng.chance(luck) ? RunStatus::succeeded : ends[rng.below(4)]},
                         rig.ambient()));
      }
      if (job.reason == Reason::lock) return rig.take(grant_lock(run, node, rig.ambient()));
      if (job.reason == Reason::signal)
        return rig.take(receive_signal(run, {"go", Value(1), "bob"}, rig.ambient()));
      return;
    case JobStatus::pending:
    case JobStatus::retrying:
    case JobStatus::succeeded:
    case JobStatus::failed:
    case JobStatus::cancelled:
    case JobStatus::timed_out:
    case JobStatus::denied:
    case JobStatus::skipped:
    case JobStatus::reused: return;
  }
}

}  // namespace mc::engine
