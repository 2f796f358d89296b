#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "lang/ast.h"
#include "lang/check.h"
#include "lang/functions.h"
#include "lang/matrix.h"
#include "lang/parse.h"

namespace mc::lang {
namespace {
// Where a template stands decides what it may mention.
struct Place {
  std::set<std::string_view> roots;
  const RawJob* job = nullptr;
  const std::vector<RawJob>* jobs = nullptr;     // those `needs` may name
  bool any_job = false;                          // not only ancestors
  const std::set<std::string>* steps = nullptr;  // ids of earlier steps; nullptr: not checked
  bool files = false;                            // hash_files
  bool status = true;                            // success() and the like
};

class Checker {
 public:
  Checker(Reader& reader, const WorkflowSpec& spec) : r_(reader), spec_(spec) {}

  void text(const YamlNode& at, std::string_view text, const Place& place, References* into) {
    std::size_t open = text.find("${{");
    while (open != std::string_view::npos) {
      const std::size_t close = find_expression_end(text, open + 3);
      if (close == std::string_view::npos)
        return r_.error(at, "invalid_expression", "`${{` has no `}}`");
      expression(at, text.substr(open + 3, close - open - 3), place, into);
      open = text.find("${{", close + 2);
    }
  }
  void expression(const YamlNode& at, std::string_view text, const Place& place, References* into) {
    const Result<Tree> tree = parse_expression(text);
    if (!tree)
      return r_.error(at, "invalid_expression",
                      tree.error().message + " in `" + std::string(trim(text)) + "`");
    walk(at, **tree, place, into);
  }

 private:
  void walk(const YamlNode& at, const Node& node, const Place& place, References* into) {
    if (node.op == Op::root) return root(at, node, place, into);
    if (node.op == Op::call) call(at, node, place);
    if (node.op == Op::equal || node.op == Op::unequal) compare(at, node);
    if (node.op == Op::member || node.op == Op::index) {
      std::vector<std::string> path;
      if (const Node* base = static_path(node, path)) {
        root(at, *base, place, into);
        member(at, *base, path, place, into);
        return;
      }
    }
    for (const Tree& child : node.children) walk(at, *child, place, into);
  }

  // a.b['c'] as root a and path b, c; nullptr when a key is computed.
  static const Node* static_path(const Node& node, std::vector<std::string>& path) {
    if (node.op == Op::root) return &node;
    if (node.op != Op::member && node.op != Op::index) return nullptr;
    const bool literal = node.op == Op::member || (node.children[1]->op == Op::literal &&
                                                   node.children[1]->value.is_string());
    if (!literal) return nullptr;
    const Node* base = static_path(*node.children[0], path);
    if (base == nullptr) return nullptr;
    path.push_back(node.op == Op::member ? node.name : node.children[1]->value.as_string());
    return base;
  }

  void root(const YamlNode& at, const Node& node, const Place& place, References* into) {
    if (into != nullptr && node.name == "inputs") into->inputs = true;
    if (into != nullptr && node.name == "event") into->event = true;
    if (place.roots.contains(node.name)) return;
    static const std::vector<std::string> kAll = {"inputs", "needs",   "steps", "matrix", "env",
                                                  "vars",   "secrets", "run",   "event"};
    const bool known = std::find(kAll.begin(), kAll.end(), node.name) != kAll.end();
    const auto near = nearest(node.name, kAll);
    if (node.name == "secrets") {
      r_.error(at, "secrets_here", "`secrets` can be used in `env` and `with` only");
    } else if (known) {
      r_.error(at, "not_here", "`" + node.name + "` cannot be used here");
    } else {
      r_.error(at, "unknown_name", "there is no `" + node.name + "`",
               near ? "did you mean `" + *near + "`?" : "");
    }
  }

  void missing(const YamlNode& at, std::string_view what, const std::string& name,
               const std::vector<std::string>& names) {
    const auto near = nearest(name, names);
    r_.error(at, "unknown_name", "there is no " + std::string(what) + " `" + name + "`",
             near            ? "did you mean `" + *near + "`?"
             : names.empty() ? ""
                             : "known are: " + join(names, ", "));
  }

  void member(const YamlNode& at, const Node& base, const std::vector<std::string>& path,
              const Place& place, References* into) {
    const std::string& name = path.front();
    if (base.name == "inputs") {
      std::vector<std::string> names;
      for (const InputSpec& input : spec_.inputs) names.push_back(input.name);
      if (std::find(names.begin(), names.end(), name) == names.end())
        missing(at, "input", name, names);
    } else if (base.name == "needs" && place.jobs != nullptr) {
      need(at, path, place, into);
    } else if (base.name == "steps" && place.steps != nullptr) {
      if (!place.steps->contains(name))
        missing(at, "earlier step with the id", name, {place.steps->begin(), place.steps->end()});
    } else if (base.name == "secrets" && into != nullptr) {
      add(into->secrets, name);
    } else if (base.name == "vars" && into != nullptr) {
      add(into->vars, name);
    } else if (base.name == "matrix") {
      matrix(at, name, place);
    } else if (base.name == "run") {
      static const std::vector<std::string> kRun = {"id",         "number",  "url",     "ref",
                                                    "commit",     "actor",   "trigger", "attempt",
                                                    "repository", "workflow"};
      if (std::find(kRun.begin(), kRun.end(), name) == kRun.end())
        missing(at, "`run` value", name, kRun);
    }
  }

  static void add(std::vector<std::string>& list, const std::string& name) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  }

  void need(const YamlNode& at, const std::vector<std::string>& path, const Place& place,
            References* into) {
    const std::string& name = path[0];
    const auto found = std::find_if(place.jobs->begin(), place.jobs->end(),
                                    [&](const RawJob& job) { return job.spec.key == name; });
    if (found == place.jobs->end()) {
      std::vector<std::string> names;
      for (const RawJob& job : *place.jobs) names.push_back(job.spec.key);
      return missing(at, "job", name, names.size() > 50 ? std::vector<std::string>{} : names);
    }
    if (!place.any_job && place.job != nullptr &&
        !is_ancestor(*place.job, static_cast<JobIndex>(found - place.jobs->begin()), *place.jobs)) {
      return r_.error(at, "not_an_ancestor",
                      "`" + place.job->spec.key + "` does not need `" + name +
                          "`, so its outputs are not known",
                      "add `" + name + "` to `needs`");
    }
    if (into != nullptr) add(into->needs, name);
    if (path.size() > 1 && path[1] != "status" && path[1] != "outputs") {
      return missing(at, "`needs." + name + "` value", path[1], {"status", "outputs"});
    }
    if (path.size() < 3 || path[1] != "outputs" || found->spec.kind != JobKind::steps) return;
    std::vector<std::string> names;
    for (const auto& [output, text] : found->spec.outputs) names.push_back(output);
    if (std::find(names.begin(), names.end(), path[2]) == names.end())
      missing(at, "output of `" + name + "` called", path[2], names);
  }

  static bool is_ancestor(const RawJob& job, JobIndex wanted, const std::vector<RawJob>& jobs) {
    std::vector<bool> seen(jobs.size());
    std::vector<JobIndex> queue = job.spec.needs;
    while (!queue.empty()) {
      const JobIndex next = queue.back();
      queue.pop_back();
      if (next == wanted) return true;
      if (seen[next]) continue;
      seen[next] = true;
      queue.insert(queue.end(), jobs[next].spec.needs.begin(), jobs[next].spec.needs.end());
    }
    return false;
  }

  void matrix(const YamlNode& at, const std::string& name, const Place& place) {
    if (place.job == nullptr || !place.job->spec.matrix)
      return r_.error(at, "not_here", "this job has no matrix");
    const MatrixSpec& matrix = *place.job->spec.matrix;
    std::vector<std::string> names;
    for (const MatrixAxis& axis : matrix.axes) names.push_back(axis.name);
    for (const Value& cell : matrix.include) {
      for (const Member& m : cell.as_object()) names.push_back(m.first);
    }
    if (matrix.expression.empty() && std::find(names.begin(), names.end(), name) == names.end())
      missing(at, "matrix axis", name, names);
  }

  void call(const YamlNode& at, const Node& node, const Place& place) {
    const FunctionInfo* function = find_function(node.name);
    if (function == nullptr) {
      const auto near = nearest(node.name, function_names());
      return r_.error(at, "unknown_function", "there is no function `" + node.name + "`",
                      near ? "did you mean `" + *near + "`?" : "");
    }
    const int count = static_cast<int>(node.children.size());
    if (count < function->arguments_min ||
        (function->arguments_max >= 0 && count > function->arguments_max)) {
      r_.error(at, "arguments",
               "`" + node.name + "` takes " + std::to_string(function->arguments_min) +
                   (function->arguments_max < 0 ? " or more" : "") + " arguments, not " +
                   std::to_string(count));
    }
    if (node.name == "hash_files" && !place.files)
      r_.error(at, "not_here",
               "`hash_files` works only where the job's files are: in its steps and its cache key");
    if (function->status && !place.status)
      r_.error(at, "not_here", "`" + node.name + "()` works only in `if`");
  }

  void compare(const YamlNode& at, const Node& node) {
    const Node &left = *node.children[0], &right = *node.children[1];
    const auto type = [&](const Node& side, Value::Type& into) {
      if (side.op == Op::literal) {
        into = side.value.type();
        return true;
      }
      std::vector<std::string> path;
      const Node* base = static_path(side, path);
      if (base == nullptr || base->name != "inputs" || path.size() != 1) return false;
      for (const InputSpec& input : spec_.inputs) {
        if (input.name != path[0]) continue;
        constexpr Value::Type kTypes[] = {Value::Type::string, Value::Type::number,
                                          Value::Type::number, Value::Type::boolean,
                                          Value::Type::list,   Value::Type::object};
        into = kTypes[static_cast<std::size_t>(input.type)];
        return input.required || input.default_value.has_value();
      }
      return false;
    };
    Value::Type a{}, b{};
    if (!type(left, a) || !type(right, b) || a == b || a == Value::Type::null ||
        b == Value::Type::null)
      return;
    r_.warn(at, "always_false",
            "a " + std::string(type_name(a)) + " never equals a " + std::string(type_name(b)));
  }

  Reader& r_;
  const WorkflowSpec& spec_;
};

// The checks of one job's parts, each with the place it stands in.
class JobCheck {
 public:
  JobCheck(Checker& checker, RawJob& job, const Place& base)
      : c_(checker), job_(job), base_(base), refs_(job.spec.references) {}

  void run() {
    const YamlNode& node = *job_.node;
    JobSpec& job = job_.spec;
    Place conductor = base_;
    conductor.status = false;
    Place condition = base_;
    if (!job.condition.empty()) c_.expression(at(node, "if"), job.condition, condition, &refs_);
    if (job.matrix) matrix(at(node, "matrix"), conductor);
    if (job.approve) c_.text(at(node, "approve"), job.approve->prompt, conductor, &refs_);
    if (job.wait) {
      for (const std::string* text : {&job.wait->duration, &job.wait->until, &job.wait->event})
        c_.text(at(node, "wait"), *text, conductor, &refs_);
    }
    if (job.child) {
      c_.text(at(node, "workflow"), job.child->name, conductor, &refs_);
      for (const auto& [name, value] : job.child->inputs)
        values(at(node, "workflow"), value, conductor);
    }
    if (job.concurrency)
      c_.text(at(node, "concurrency"), job.concurrency->group, with_matrix(conductor), &refs_);
    worker_side(node);
  }

 private:
  static const YamlNode& at(const YamlNode& node, std::string_view key) {
    const YamlNode* found = node.find(key);
    return found != nullptr ? *found : node;
  }
  static Place with_matrix(Place place) {
    place.roots.insert("matrix");
    return place;
  }

  void matrix(const YamlNode& node, const Place& place) {
    c_.text(node, job_.spec.matrix->expression, place, &refs_);
    for (const MatrixAxis& axis : job_.spec.matrix->axes)
      c_.text(node, axis.expression, place, &refs_);
  }

  void values(const YamlNode& node, const Value& value, const Place& place) {
    if (value.is_string()) c_.text(node, value.as_string(), place, &refs_);
    if (value.is_list()) {
      for (const Value& item : value.as_list()) values(node, item, place);
    } else if (value.is_object()) {
      for (const Member& member : value.as_object()) values(node, member.second, place);
    }
  }

  void bindings(const YamlNode& node, const Bindings& list, const Place& place) {
    for (const auto& [name, text] : list) c_.text(at(node, name), text, place, &refs_);
  }

  void worker_side(const YamlNode& node) {
    JobSpec& job = job_.spec;
    Place place = with_matrix(base_);
    place.status = false;
    place.files = true;
    place.roots.insert("env");
    Place env = place;
    env.roots.insert("secrets");
    env.files = false;
    bindings(at(node, "env"), job.env, env);
    c_.text(at(node, "container"), job.container_image, place, &refs_);
    for (const ServiceSpec& service : job.services)
      bindings(at(node, "services"), service.env, env);
    std::set<std::string> ids;
    steps(at(node, "steps"), job.steps, place, ids);
    steps(at(node, "on_failure"), job.on_failure, place, ids);
    steps(at(node, "finally"), job.finally, place, ids);
    std::set<std::string> none;
    steps(at(node, "compensate"), job.compensate, place, none);
    place.roots.insert("steps");
    place.steps = &ids;
    if (job.cache) c_.text(at(node, "cache"), job.cache->key, place, &refs_);
    bindings(at(node, "outputs"), job.outputs, place);
    for (const ArtifactSpec& artifact : job.artifacts) {
      c_.text(at(node, "artifacts"), artifact.name, place, &refs_);
      c_.text(at(node, "artifacts"), artifact.path, place, &refs_);
    }
    c_.text(at(node, "name"), job.name, place, &refs_);
  }

  void steps(const YamlNode& list, const std::vector<StepSpec>& steps, Place place,
             std::set<std::string>& ids) {
    place.roots.insert("steps");
    place.steps = &ids;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const StepSpec& step = steps[i];
      const YamlNode& node = i < list.items.size() ? list.items[i] : list;
      Place condition = place;
      condition.status = true;
      if (!step.condition.empty()) c_.expression(at(node, "if"), step.condition, condition, &refs_);
      Place values = place;
      values.roots.insert("secrets");
      bindings(at(node, "env"), step.env, values);
      bindings(at(node, "with"), step.with, values);
      c_.text(at(node, "working_directory"), step.working_directory, place, &refs_);
      c_.text(at(node, "name"), step.name, place, &refs_);
      if (!step.id.empty()) ids.insert(step.id);
    }
  }

  Checker& c_;
  RawJob& job_;
  const Place& base_;
  References& refs_;
};

void check_static_matrix(Reader& r, const RawJob& job) {
  const MatrixSpec& matrix = *job.spec.matrix;
  const bool dynamic = !matrix.expression.empty() ||
                       std::any_of(matrix.axes.begin(), matrix.axes.end(),
                                   [](const MatrixAxis& a) { return !a.expression.empty(); });
  if (dynamic) return;
  const auto cells = expand_matrix(matrix, {});
  if (!cells)
    r.error(*job.node->find("matrix"),
            cells.error().code == Code::limit_exceeded ? "limit_exceeded" : "bad_matrix",
            cells.error().message);
}

void check_list(Reader& r, Checker& checker, std::vector<RawJob>& jobs,
                const std::vector<RawJob>& graph, bool in_graph) {
  for (RawJob& job : jobs) {
    if (job.node == nullptr || !is_object(*job.node)) continue;
    Place base{.roots = {"inputs", "needs", "run", "vars", "event"},
               .job = &job,
               .jobs = &graph,
               .any_job = !in_graph};
    JobCheck(checker, job, base).run();
    if (job.spec.matrix) check_static_matrix(r, job);
  }
}
}  // namespace

void check_expressions(Reader& r, const YamlNode& root, const WorkflowSpec& spec,
                       std::vector<RawJob>& jobs, std::vector<RawJob>& on_failure,
                       std::vector<RawJob>& finally) {
  Checker checker(r, spec);
  check_list(r, checker, jobs, jobs, true);
  check_list(r, checker, on_failure, jobs, false);
  check_list(r, checker, finally, jobs, false);
  const auto at = [&](std::string_view key) -> const YamlNode& {
    const YamlNode* found = root.find(key);
    return found != nullptr ? *found : root;
  };
  Place whole{
      .roots = {"inputs", "run", "vars", "event"}, .jobs = &jobs, .any_job = true, .status = false};
  if (spec.concurrency) checker.text(at("concurrency"), spec.concurrency->group, whole, nullptr);
  Place env = whole;
  env.roots.insert("secrets");
  References env_refs;
  for (const auto& [name, text] : spec.env) checker.text(at("env"), text, env, &env_refs);
  for (std::vector<RawJob>* list : {&jobs, &on_failure, &finally}) {
    for (RawJob& job : *list) {
      for (const std::string& name : env_refs.secrets) job.spec.references.secrets.push_back(name);
      job.spec.references.event |= env_refs.event;
    }
  }
  whole.roots.insert("needs");
  for (const auto& [name, text] : spec.outputs) checker.text(at("outputs"), text, whole, nullptr);
  const bool bad_inputs = !r.errors.empty();
  if (!bad_inputs) {
    for (const InputSpec& input : spec.inputs) {
      if (!input.default_value) continue;
      const Result<Value> fits =
          resolve_inputs({input}, Value(Object{{input.name, *input.default_value}}));
      if (!fits) r.error(at("inputs"), "bad_default", fits.error().message);
    }
  }
}
}  // namespace mc::lang
