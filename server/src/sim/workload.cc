#include "sim/workload.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

namespace mc::sim {
namespace {
template <std::size_t N>
const char* pick(Rng& rng, const std::array<const char*, N>& from) {
  return from[rng.below(N)];
}

std::string runs_group(std::uint64_t limit) {
  return fmt::format("runs{}-${{{{ inputs.flag }}}}-${{{{ inputs.text }}}}", limit);
}

std::string steps(Rng& rng) {
  std::string text = "    steps:\n      - {id: s, run: make";
  if (rng.chance(0.2)) text += ", timeout: 5m";
  if (rng.chance(0.2)) text += ", env: {A: \"${{ inputs.flag }}\", B: \"${{ secrets.s }}\"}";
  if (rng.chance(0.1)) text += ", continue_on_error: true";
  text += "}\n";
  if (rng.chance(0.2)) text += "      - {uses: noop, if: \"${{ always() }}\"}\n";
  return text;
}

// What a job of steps may say besides.
std::string job_options(Rng& rng) {
  std::string text;
  if (rng.chance(0.3))
    text += fmt::format(
        "    retry: {{attempts: {}, backoff: {}s, factor: 2, max: 20s, jitter: 0.2, on: [{}], "
        "exit_codes: [75]}}\n",
        1 + rng.below(4), 1 + rng.below(4),
        pick(rng, std::array{"any", "infra", "timeout, lost_worker", "infra, lost_worker"}));
  if (rng.chance(0.1)) {
    text += "    runs_on: [gpu]\n    timeout: {queue: 5m, run: 2m}\n";
  } else if (rng.chance(0.2)) {
    text += "    timeout: {queue: 10m, run: 1m}\n";
  }
  if (rng.chance(0.15)) text += "    compensate: [{run: undo}]\n";
  if (rng.chance(0.25)) {
    const auto limit = 1 + rng.below(2);
    // Sometimes by the name that the run's own group may have.
    const std::string group = rng.chance(0.3) ? runs_group(limit) : fmt::format("jobs{}", limit);
    text += fmt::format("    concurrency: {{group: \"{}\", limit: {}}}\n", group, limit);
  }
  if (rng.chance(0.1)) text += "    effects: external\n";
  if (rng.chance(0.1)) text += "    on_failure: [{run: collect}]\n";
  if (rng.chance(0.1)) text += "    finally: [{run: clean}]\n";
  if (rng.chance(0.1)) text += "    artifacts: [{name: app, path: app}]\n";
  if (rng.chance(0.1)) text += "    cache: {key: \"k-${{ inputs.flag }}\", outputs: [app]}\n";
  if (rng.chance(0.1)) text += "    services: {db: {run: serve, ready: look}}\n";
  return text;
}

std::string matrix(Rng& rng, const std::string& lists) {
  std::string text = "    matrix: ";
  if (!lists.empty() && rng.chance(0.6)) {
    text += fmt::format("{{n: \"${{{{ from_json(needs.{}.outputs.list) }}}}\"}}\n", lists);
  } else {
    text += "{n: [1, 2, 3]";
    if (rng.chance(0.3)) text += ", exclude: [{n: 2}]";
    if (rng.chance(0.3)) text += ", include: [{n: 4}]";
    text += "}\n";
  }
  if (rng.chance(0.5))
    text += rng.chance(0.3) ? "    max_parallel: \"${{ inputs.flag ? 1 : 2 }}\"\n"
                            : fmt::format("    max_parallel: {}\n", 1 + rng.below(3));
  if (rng.chance(0.5)) text += fmt::format("    fail_fast: {}\n", rng.chance(0.5));
  return text;
}

// A job that no worker carries out; empty: rather one of steps.
std::string quiet_job(Rng& rng, bool children) {
  switch (rng.below(10)) {
    case 0:
      return fmt::format("    approve: {{expires: 10m, count: {}, self: true, prompt: ok?}}\n",
                         1 + rng.below(2));
    case 1: return fmt::format("    wait: {}s\n", 1 + rng.below(300));
    case 2: return fmt::format("    wait: {{event: {}, timeout: 20m}}\n", kSignalName);
    case 3:
    case 4:
      if (!children) return "";
      return fmt::format("    workflow: {{name: child{}}}\n{}", rng.below(kChildWorkflows + 1),
                         rng.chance(0.25) ? "    retry: {attempts: 3, backoff: 1s, on: [any]}\n"
                         : rng.chance(0.3)
                             ? "    timeout: \"${{ inputs.flag ? '30s' : '2m' }}\"\n"
                               "    retry: {attempts: 2, backoff: 0s, on: [timeout]}\n"
                             : "");
    default: return "";
  }
}

struct Shape {
  int jobs_max = 7;
  bool children = true;
};

std::string job(Rng& rng, int index, const Shape& shape, std::string& lists) {
  std::string text = fmt::format("  j{}:\n", index);
  std::vector<std::string> needs;
  for (int i = 0; i < index; ++i) {
    if (rng.chance(0.35)) needs.push_back(fmt::format("j{}", i));
  }
  if (!needs.empty()) text += fmt::format("    needs: [{}]\n", fmt::join(needs, ", "));
  if (rng.chance(0.2))
    text += fmt::format(
        "    if: ${{{{ {} }}}}\n",
        pick(rng, std::array{"always()", "failure()", "success()", "cancelled()", "inputs.flag",
                             "!inputs.flag", "always() && inputs.flag"}));
  if (rng.chance(0.2))
    text += fmt::format("    continue_on_error: {}\n",
                        pick(rng, std::array{"true", "${{ inputs.flag }}"}));
  if (const std::string quiet = quiet_job(rng, shape.children); !quiet.empty()) return text + quiet;
  const bool knows_list =
      !lists.empty() && std::find(needs.begin(), needs.end(), lists) != needs.end();
  if (rng.chance(0.3)) {
    text += matrix(rng, knows_list ? lists : "");
  } else if (rng.chance(0.3)) {
    text += "    outputs: {list: \"${{ steps.s.outputs.list }}\"}\n";
    lists = fmt::format("j{}", index);
  }
  std::string options = job_options(rng);
  return text + options + steps(rng);
}

std::string head(Rng& rng) {
  std::string text =
      "inputs: {flag: {type: boolean, default: true}, text: {type: string, default: x}}\n";
  if (rng.chance(0.2)) text += "timeout: 15m\n";
  if (rng.chance(0.2)) text += "env: {E: \"${{ inputs.text }}\"}\n";
  if (rng.chance(0.2)) text += "defaults: {retry: {attempts: 2, backoff: 1s}}\n";
  if (rng.chance(0.35)) {
    const auto limit = 1 + rng.below(2);
    text += fmt::format(
        "concurrency: {{group: \"{}\", limit: {}, on_overflow: {}}}\n", runs_group(limit), limit,
        pick(rng, std::array{"queue", "queue", "cancel_pending", "cancel_running", "reject"}));
  }
  return text;
}

std::string definition(Rng& rng, const Shape& shape) {
  std::string text = head(rng) + "jobs:\n";
  const int jobs = 1 + static_cast<int>(rng.below(static_cast<std::uint64_t>(shape.jobs_max)));
  std::string lists;
  for (int i = 0; i < jobs; ++i) text += job(rng, i, shape, lists);
  if (rng.chance(0.3)) text += "on_failure: {tell: {steps: [{run: x}]}}\n";
  if (rng.chance(0.4))
    text += "finally: {f1: {steps: [{run: x}]}, f2: {needs: f1, steps: [{run: x}]}}\n";
  if (!lists.empty() && rng.chance(0.5))
    text += fmt::format("outputs: {{list: \"${{{{ needs.{}.outputs.list }}}}\"}}\n", lists);
  return text;
}
}  // namespace

std::string random_definition(Rng& rng) { return definition(rng, {}); }

std::string random_scheduled_definition(Rng& rng) {
  return fmt::format(
             "on: {{schedule: [{{cron: \"*/{} * * * *\", overlap: {}, catch_up: {}, "
             "catch_up_window: 10m}}]}}\n",
             1 + rng.below(4),
             pick(rng, std::array{"skip", "queue_one", "queue_all", "cancel_running"}),
             pick(rng, std::array{"none", "last", "all"})) +
         definition(rng, {.jobs_max = 2, .children = false});
}

std::string random_child_definition(Rng& rng) {
  return definition(rng, {.jobs_max = 2, .children = false});
}

}  // namespace mc::sim
