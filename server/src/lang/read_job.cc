#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/text.h"
#include "lang/actions.h"
#include "lang/late.h"
#include "lang/reader.h"

namespace mc::lang {
namespace {
constexpr std::size_t kStepsMax = 1000;

std::string first_line(std::string_view text) {
  text = trim(text);
  return std::string(trim(text.substr(0, std::min(text.find('\n'), std::size_t{80}))));
}

void check_action(Reader& r, const YamlNode& node, const YamlNode& uses, StepSpec& step) {
  const Action* action = find_action(step.uses);
  if (action == nullptr) {
    std::vector<std::string> names;
    for (const Action& known : actions()) names.emplace_back(known.name);
    r.error(uses, "unknown_action", "there is no action `" + step.uses + "`",
            r.suggest(step.uses, names));
    return;
  }
  const YamlNode* with = node.find("with");
  std::vector<std::string> names;
  for (const ActionInput& input : action->inputs) {
    names.emplace_back(input.name);
    if (input.required && (with == nullptr || with->find(input.name) == nullptr)) {
      r.error(with != nullptr ? *with : uses, "missing_input",
              "`" + step.uses + "` needs `with: {" + std::string(input.name) + ": …}`");
    }
  }
  if (with == nullptr) return;
  for (const auto& [key, value] : with->members) {
    if (std::find(names.begin(), names.end(), key.raw) != names.end()) continue;
    r.error(key, "unknown_input", "`" + step.uses + "` has no input `" + key.raw + "`",
            names.empty() ? "it takes none" : r.suggest(key.raw, names));
  }
}

void read_shell(Reader& r, const YamlNode& node, Shell& into) {
  if (const YamlNode* shell = node.find("shell")) {
    if (const auto i = r.choice(*shell, "`shell`", {"bash", "sh"})) into = static_cast<Shell>(*i);
  }
}

void read_step(Reader& r, const YamlNode& node, Shell shell, std::set<std::string>& ids,
               std::vector<StepSpec>& into) {
  StepSpec step;
  step.shell = shell;
  const std::size_t before = r.errors.size();
  if (!r.keys(node, sections::kStep)) return;
  if (const YamlNode* id = r.text(node, "id", step.id)) {
    if (!is_identifier(step.id))
      r.error(*id, "bad_name", std::string("a step's id ") + kIdentifierRule);
    if (!ids.insert(step.id).second)
      r.error(*id, "duplicate_id", "another step of this job has the id `" + step.id + "`");
  }
  r.condition(node, "if", step.condition);
  const YamlNode* run = r.text(node, "run", step.run);
  const YamlNode* uses = r.text(node, "uses", step.uses);
  // A misspelt `run` is one mistake, not two.
  const bool misspelt = r.errors.size() > before && run == nullptr && uses == nullptr;
  if ((node.find("run") != nullptr) == (node.find("uses") != nullptr) && !misspelt) {
    r.error(node, "one_of", "a step needs exactly one of `run` and `uses`");
  }
  if (run != nullptr && step.run.find("${{") != std::string::npos) {
    r.error(*run, "expression_in_run",
            "`run` must not contain ${{ }}: the text of a script is never built from values",
            "pass the value through `env` and use \"$NAME\" in the script");
  }
  if (run != nullptr && trim(step.run).empty()) r.error(*run, "empty_run", "`run` is empty");
  if (uses != nullptr) check_action(r, node, *uses, step);
  r.bindings(node, "with", step.with);
  if (run != nullptr && node.find("with") != nullptr)
    r.error(*node.find("with"), "unknown_key", "`with` goes with `uses`, not with `run`");
  r.environment(node, step.env);
  int minutes = 0;
  if (r.integer(node, "timeout-minutes", minutes, 1, 5'000'000) != nullptr)
    step.timeout = std::chrono::minutes(minutes);
  if (!r.late(node, "timeout", step.late_timeout)) r.limit(node, "timeout", step.timeout);
  r.text(node, "working_directory", step.working_directory);
  read_shell(r, node, step.shell);
  if (!r.late(node, "continue_on_error", step.late_continue_on_error))
    r.boolean(node, "continue_on_error", step.continue_on_error);
  if (r.text(node, "name", step.name) == nullptr) {
    step.name = !step.id.empty() ? step.id : !step.uses.empty() ? step.uses : first_line(step.run);
  }
  into.push_back(std::move(step));
}

void read_timeouts(Reader& r, const YamlNode& node, JobSpec& job) {
  int minutes = 0;
  if (r.integer(node, "timeout-minutes", minutes, 1, 5'000'000) != nullptr)
    job.timeout_run = std::chrono::minutes(minutes);
  const YamlNode* timeout = node.find("timeout");
  if (timeout == nullptr) return;
  if (is_object(*timeout)) {
    if (!r.keys(*timeout, sections::kTimeout)) return;
    r.limit(*timeout, "queue", job.timeout_queue);
    r.limit(*timeout, "run", job.timeout_run);
  } else {
    r.limit(node, "timeout", job.timeout_run);
  }
}

void read_kind(Reader& r, const YamlNode& node, JobSpec& job) {
  if (node.find("deploy") != nullptr || node.find("analyse") != nullptr) return;  // refused above
  int given = 0;
  if (const YamlNode* steps = node.find("steps")) {
    ++given;
    job.kind = JobKind::steps;
    read_steps(r, *steps, "`steps`", job.shell, job.steps);
  }
  if (const YamlNode* approve = node.find("approve")) {
    ++given;
    job.kind = JobKind::approve;
    read_approve(r, *approve, job.approve.emplace());
  }
  if (const YamlNode* wait = node.find("wait")) {
    ++given;
    job.kind = JobKind::wait;
    read_wait(r, *wait, job.wait.emplace());
  }
  if (const YamlNode* child = node.find("workflow")) {
    ++given;
    job.kind = JobKind::workflow;
    read_child(r, *child, job.child.emplace());
  }
  if (given != 1)
    r.error(node, "one_of",
            "a job is exactly one of `steps`, `approve`, `wait` and `workflow`" +
                std::string(given == 0 ? "; this one is none" : ""));
}

void read_container(Reader& r, const YamlNode& node, JobSpec& job) {
  r.boolean(node, "sandbox", job.sandbox);
  const YamlNode* container = node.find("container");
  if (container == nullptr) return;
  if (is_object(*container)) {
    if (!r.keys(*container, sections::kContainer)) return;
    if (r.text(*container, "image", job.container_image) == nullptr &&
        container->find("image") == nullptr)
      r.error(*container, "missing_key", "`container` needs `image`");
  } else if (auto image = r.as_text(*container, "`container`")) {
    job.container_image = std::move(*image);
  }
  if (job.sandbox)
    r.error(*container, "one_of", "a job runs in a container or in a sandbox, not in both");
}
}  // namespace

void read_steps(Reader& r, const YamlNode& node, std::string_view what, Shell shell,
                std::vector<StepSpec>& into) {
  if (!is_list(node) || node.items.empty()) {
    r.error(node, "wrong_type",
            std::string(what) + " must be a list with at least one step, not " + kind_name(node));
    return;
  }
  if (node.items.size() > kStepsMax) {
    r.error(node, "limit_exceeded",
            std::string(what) + " has " + std::to_string(node.items.size()) +
                " steps, more than 1,000");
    return;
  }
  std::set<std::string> ids;
  for (const YamlNode& item : node.items) read_step(r, item, shell, ids, into);
}

namespace {
// Keys that only a job of steps can make use of.
void check_useless(Reader& r, const YamlNode& node, const JobSpec& job) {
  if (job.kind == JobKind::steps) return;
  for (const char* key : {"runs_on", "resources", "shell", "env", "on_failure", "finally", "cache",
                          "artifacts", "services", "container", "sandbox", "concurrency"}) {
    const YamlNode* found = node.find(key);
    if (found != nullptr)
      r.warn(*found, "no_effect",
             "`" + std::string(key) + "` has no effect on a job without `steps`");
  }
}

void read_needs(Reader& r, const YamlNode& node, RawJob& into) {
  if (const YamlNode* needs = node.find("needs")) {
    const std::vector<YamlNode>* items = is_list(*needs) ? &needs->items : nullptr;
    if (items == nullptr) {
      if (const auto name = r.as_text(*needs, "`needs`")) into.needs.emplace_back(*name, needs);
    } else {
      for (const YamlNode& item : *items) {
        if (const auto name = r.as_text(item, "an item of `needs`"))
          into.needs.emplace_back(*name, &item);
      }
    }
  }
}

void read_work(Reader& r, const YamlNode& node, JobSpec& job) {
  r.environment(node, job.env);
  read_kind(r, node, job);
  if (const YamlNode* steps = node.find("on_failure"))
    read_steps(r, *steps, "`on_failure`", job.shell, job.on_failure);
  if (const YamlNode* steps = node.find("finally"))
    read_steps(r, *steps, "`finally`", job.shell, job.finally);
  if (const YamlNode* steps = node.find("compensate"))
    read_steps(r, *steps, "`compensate`", job.shell, job.compensate);
  r.bindings(node, "outputs", job.outputs);
  if (const YamlNode* cache = node.find("cache")) read_cache(r, *cache, job.cache.emplace());
  if (const YamlNode* artifacts = node.find("artifacts"))
    read_artifacts(r, *artifacts, job.artifacts);
  if (const YamlNode* services = node.find("services")) read_services(r, *services, job.services);
  read_container(r, node, job);
  if (const YamlNode* concurrency = node.find("concurrency")) {
    read_concurrency(r, *concurrency, job.concurrency);
    for (const char* key : {"order", "on_overflow"}) {
      if (const YamlNode* found = concurrency->find(key))
        r.error(*found, "not_here",
                "`" + std::string(key) + "` is for the workflow's `concurrency`: jobs of a group " +
                    "wait for each other in the order they come");
    }
  }
}
}  // namespace

void read_policy(Reader& r, const YamlNode& node, JobSpec& job) {
  r.condition(node, "if", job.condition);
  r.texts(node, "runs_on", job.runs_on);
  if (const YamlNode* resources = node.find("resources"))
    read_resources(r, *resources, job.resources);
  if (const YamlNode* matrix = node.find("matrix")) read_matrix(r, *matrix, job.matrix.emplace());
  r.integer(node, "max_parallel", job.max_parallel, 1, 10'000);
  r.boolean(node, "fail_fast", job.fail_fast);
  if (const YamlNode* retry = node.find("retry")) read_retry(r, *retry, job.retry);
  read_timeouts(r, node, job);
  r.boolean(node, "continue_on_error", job.continue_on_error);
  read_shell(r, node, job.shell);
  if (const YamlNode* effects = node.find("effects")) {
    if (const auto i = r.choice(*effects, "`effects`", {"none", "idempotent", "external"}))
      job.effects = static_cast<Effects>(*i);
  }
}

void read_job(Reader& r, const YamlNode& node, RawJob& into) {
  JobSpec& job = into.spec;
  into.node = &node;
  if (!r.keys(node, sections::kJob)) return;
  r.text(node, "name", job.name);
  read_needs(r, node, into);
  job.late = late_settings(node);
  const YamlNode rest = job.late.empty() ? YamlNode() : without(node, job.late);
  const YamlNode& known = job.late.empty() ? node : rest;
  read_policy(r, known, job);
  read_work(r, known, job);
  check_useless(r, node, job);
  job.source = to_value(node);
  job.source_json = to_json(job.source);
}
}  // namespace mc::lang
