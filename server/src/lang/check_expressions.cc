// Goes through a definition and checks each template and condition where it stands.
#include <algorithm>

#include "lang/check.h"
#include "lang/checker.h"
#include "lang/late.h"
#include "lang/matrix.h"
#include "lang/parse.h"

namespace mc::lang {
namespace {
constexpr unsigned kEverywhere = kInputs | kRun | kVars | kEvent;
constexpr std::size_t kExpandedMax = 10'000;
constexpr std::size_t kWorkflowSecretsMax = 100;

const YamlNode& at(const YamlNode& node, std::string_view key) {
  const YamlNode* found = node.find(key);
  return found != nullptr ? *found : node;
}

// The checks of one job's parts, each with the place it stands in.
class JobCheck {
 public:
  JobCheck(Checker& checker, const RawJob& job, Place base)
      : c_(checker), job_(job), node_(*job.node), base_(base), cell_(base) {
    if (job.spec.matrix) cell_.roots |= kMatrix;
  }

  void run() {
    conductor_side();
    worker_side();
  }

 private:
  // What the server evaluates: before the job starts.
  void conductor_side() {
    const JobSpec& job = job_.spec;
    Place condition = base_;
    condition.status = true;
    if (!job.condition.empty()) c_.condition(at(node_, "if"), job.condition, condition);
    if (job.matrix) every(at(node_, "matrix"), base_);
    c_.text(at(node_, "name"), job.name, cell_);
    for (const char* key : {"approve", "wait", "workflow"}) {
      if (const YamlNode* found = node_.find(key)) every(*found, cell_);
    }
    if (const YamlNode* found = node_.find("runs_on")) every(*found, cell_);
    if (const YamlNode* found = node_.find("runs-on")) every(*found, cell_);
    if (job.concurrency) group(at(node_, "concurrency"), *job.concurrency);
    for (const std::string& place : job.late) {
      const bool checked = place.starts_with("approve") || place.starts_with("wait");
      const YamlNode& node = node_at(node_, place);
      if (!checked) c_.text(node, node.raw, is_of_group(place) ? base_ : cell_);
    }
  }

  void group(const YamlNode& node, const ConcurrencySpec& spec) {
    c_.text(is_object(node) ? at(node, "group") : node, spec.group, cell_);
  }

  // Every scalar below `node`.
  void every(const YamlNode& node, const Place& place) {
    if (is_scalar(node)) c_.text(node, node.raw, place);
    for (const YamlNode& item : node.items) every(item, place);
    for (const auto& [key, value] : node.members) every(value, place);
  }

  // What the worker evaluates.
  void worker_side() {
    Place place = cell_;
    place.roots |= kEnv;
    Place env = place;
    env.roots |= kSecrets;
    if (const YamlNode* found = node_.find("env")) every(*found, env);
    if (const YamlNode* found = node_.find("container")) every(*found, place);
    if (const YamlNode* services = node_.find("services")) {
      for (const auto& [key, service] : services->members) {
        if (const YamlNode* found = service.find("env")) every(*found, env);
      }
    }
    place.roots |= kSteps;
    place.files = true;
    std::unordered_set<std::string> ids;
    place.steps = &ids;
    steps("steps", job_.spec.steps, place, ids);
    after_steps(place);
    steps("on_failure", job_.spec.on_failure, place, ids);
    steps("finally", job_.spec.finally, place, ids);
    std::unordered_set<std::string> none;
    place.steps = &none;
    steps("compensate", job_.spec.compensate, place, none);
  }

  void after_steps(const Place& place) {
    if (const YamlNode* found = node_.find("cache")) every(*found, place);
    if (const YamlNode* found = node_.find("outputs")) every(*found, place);
    if (const YamlNode* found = node_.find("artifacts")) every(*found, place);
  }

  void steps(std::string_view key, const std::vector<StepSpec>& specs, const Place& place,
             std::unordered_set<std::string>& ids) {
    const YamlNode* list = node_.find(key);
    if (list == nullptr) return;
    Place condition = place;
    condition.status = true;
    Place values = place;
    values.roots |= kSecrets;
    std::size_t i = 0;
    for (const YamlNode& node : list->items) {
      if (!is_object(node)) continue;
      if (i == specs.size()) return;
      const StepSpec& step = specs[i++];
      if (!step.condition.empty()) c_.condition(at(node, "if"), step.condition, condition);
      if (const YamlNode* found = node.find("env")) every(*found, values);
      if (const YamlNode* found = node.find("with")) every(*found, values);
      c_.text(at(node, "working_directory"), step.working_directory, place);
      c_.text(at(node, "timeout"), step.late_timeout, place);
      c_.text(at(node, "continue_on_error"), step.late_continue_on_error, place);
      if (const YamlNode* found = node.find("name")) c_.text(*found, step.name, place);
      if (!step.id.empty()) ids.insert(step.id);
    }
  }

  Checker& c_;
  const RawJob& job_;
  const YamlNode& node_;
  Place base_;
  Place cell_;
};

// Where nothing is evaluated, a template would be taken for plain text.
void no_templates(Reader& r, const YamlNode& node, const std::string& where) {
  const std::size_t open = is_scalar(node) ? node.raw.find("${{") : std::string::npos;
  if (open != std::string::npos)
    r.error_at(node, open, "not_here", "`${{ }}` is not evaluated in " + where);
  for (const YamlNode& item : node.items) no_templates(r, item, where);
  for (const auto& [key, value] : node.members) {
    if (key.raw != "description") no_templates(r, value, where);
  }
}

// How many jobs this one becomes, where that is known; 1 where it is not.
std::size_t expand(Reader& r, const RawJob& job) {
  if (!job.spec.matrix || !is_static(*job.spec.matrix)) return 1;
  const auto cells = expand_matrix(*job.spec.matrix, {});
  if (cells) return cells->size();
  const bool limit = cells.error().code == Code::limit_exceeded;
  r.error(at(*job.node, "matrix"), limit ? "limit_exceeded" : "bad_matrix", cells.error().message);
  return 1;
}

void check_schedules(Reader& r, const YamlNode& root, const WorkflowSpec& spec) {
  const YamlNode* on = root.find("on");
  if (on == nullptr || !r.errors.empty()) return;
  const YamlNode& list = at(*on, "schedule");
  for (std::size_t i = 0; i < spec.on.schedules.size(); ++i) {
    const auto fits = resolve_inputs(spec.inputs, spec.on.schedules[i].inputs);
    if (fits) continue;
    const YamlNode& node = i < list.items.size() ? list.items[i] : list;
    for (const Problem& problem : fits.error().problems)
      r.error(at(node, "inputs"), "invalid_input", problem.message, problem.hint);
  }
}

// The workflow's own templates. What its `env` mentions, every job is given.
void check_whole(Reader& r, Checker& checker, const YamlNode& root, const WorkflowSpec& spec,
                 References& env_refs) {
  Place place{.roots = kEverywhere, .any_job = true};
  checker.collect(nullptr);
  if (spec.concurrency) {
    const YamlNode& node = at(root, "concurrency");
    checker.text(is_object(node) ? at(node, "group") : node, spec.concurrency->group, place);
  }
  Place outputs = place;
  outputs.roots |= kNeeds;
  if (const YamlNode* node = root.find("outputs"); node != nullptr && is_object(*node)) {
    for (const auto& [key, value] : node->members) checker.text(value, value.raw, outputs);
  }
  checker.collect(&env_refs);
  place.roots |= kSecrets;
  if (const YamlNode* node = root.find("env"); node != nullptr && is_object(*node)) {
    for (const auto& [key, value] : node->members) checker.text(value, value.raw, place);
    if (env_refs.secrets.size() + env_refs.vars.size() > kWorkflowSecretsMax) {
      r.error(*node, "limit_exceeded", "`env` of a workflow may name 100 secrets and variables");
      env_refs = {};
    }
  }
}

void add_references(const References& from, References& to) {
  const auto merge = [](const std::vector<std::string>& names, std::vector<std::string>& into) {
    for (const std::string& name : names) {
      if (std::find(into.begin(), into.end(), name) == into.end()) into.push_back(name);
    }
  };
  merge(from.secrets, to.secrets);
  merge(from.vars, to.vars);
  to.inputs |= from.inputs;
  to.event |= from.event;
}
}  // namespace

void check_expressions(Reader& r, const YamlNode& root, const WorkflowSpec& spec,
                       std::vector<RawJob>& jobs, std::vector<RawJob>& on_failure,
                       std::vector<RawJob>& finally) {
  Definition definition(&spec, &jobs);
  Checker checker(r, definition);
  References env_refs;
  check_whole(r, checker, root, spec, env_refs);
  for (const char* key : {"on", "inputs"}) {
    if (const YamlNode* found = root.find(key))
      no_templates(r, *found, "`" + std::string(key) + "`");
  }
  std::size_t expanded = 0;
  for (std::vector<RawJob>* list : {&jobs, &on_failure, &finally}) {
    for (RawJob& job : *list) {
      if (job.node == nullptr || !is_object(*job.node)) continue;
      checker.collect(&job.spec.references);
      JobCheck(checker, job, {.roots = kEverywhere | kNeeds, .job = &job, .any_job = list != &jobs})
          .run();
      add_references(env_refs, job.spec.references);
      expanded += expand(r, job);
      if (r.full()) return;
    }
  }
  if (expanded > kExpandedMax) {
    r.error(at(root, "jobs"), "limit_exceeded",
            "the definition has " + std::to_string(expanded) +
                " jobs when its matrices are expanded, more than 10,000");
  }
  check_schedules(r, root, spec);
}

void check_job(Reader& r, RawJob& job) {
  if (job.node == nullptr || !is_object(*job.node)) return;
  Definition definition(nullptr, nullptr);
  Checker checker(r, definition);
  checker.collect(&job.spec.references);
  JobCheck(checker, job, {.roots = kEverywhere | kNeeds, .job = &job, .any_job = true}).run();
}
}  // namespace mc::lang
