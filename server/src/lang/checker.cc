#include "lang/checker.h"

#include <algorithm>

#include "base/text.h"
#include "lang/functions.h"

namespace mc::lang {
namespace {
const std::vector<std::pair<std::string, Root>>& root_names() {
  static const std::vector<std::pair<std::string, Root>> kNames = {
      {"inputs", kInputs},   {"needs", kNeeds}, {"steps", kSteps},
      {"matrix", kMatrix},   {"env", kEnv},     {"vars", kVars},
      {"secrets", kSecrets}, {"run", kRun},     {"event", kEvent}};
  return kNames;
}

unsigned root_bit(std::string_view name) {
  for (const auto& [known, bit] : root_names()) {
    if (known == name) return bit;
  }
  return 0;
}

const std::vector<std::string>& run_names() {
  static const std::vector<std::string> kNames = {"id",         "number",  "url",     "ref",
                                                  "commit",     "actor",   "trigger", "attempt",
                                                  "repository", "workflow"};
  return kNames;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
}  // namespace

const Node* static_path(const Node& node, std::vector<std::string>& path) {
  if (node.op == Op::root) return &node;
  if (node.op != Op::member && node.op != Op::index) return nullptr;
  const bool literal = node.op == Op::member ||
                       (node.children[1]->op == Op::literal && node.children[1]->value.is_string());
  if (!literal) return nullptr;
  const Node* base = static_path(*node.children[0], path);
  if (base == nullptr) return nullptr;
  path.push_back(node.op == Op::member ? node.name : node.children[1]->value.as_string());
  return base;
}

void Checker::collect(References* into) {
  into_ = into;
  seen_.clear();
}

void Checker::text(const YamlNode& at, std::string_view text, const Place& place) {
  at_ = &at;
  std::size_t open = text.find("${{");
  exact_ = open != std::string_view::npos && at.raw == text;
  while (open != std::string_view::npos && !r_.full()) {
    const std::size_t close = find_expression_end(text, open + 3);
    if (close == std::string_view::npos) {
      r_.error_at(at, exact_ ? open : 0, "invalid_expression", "`${{` has no `}}`");
      return;
    }
    base_ = open + 3;
    if (const Tree tree = parse(text.substr(open + 3, close - open - 3))) walk(*tree, place);
    open = text.find("${{", close + 2);
  }
}

void Checker::condition(const YamlNode& at, std::string_view text, const Place& place) {
  at_ = &at;
  base_ = at.raw.find(text);
  exact_ = base_ != std::string::npos;
  const Tree tree = parse(text);
  if (!tree) return;
  walk(*tree, place);
  wants_boolean(*tree, "`if`", place);
}

Tree Checker::parse(std::string_view text) {
  Result<Tree> tree = parse_expression(text);
  if (tree) return std::move(*tree);
  constexpr std::size_t kShownMax = 80;
  const auto column = static_cast<std::size_t>(tree.error().problems.front().column);
  const std::string shown(trim(text).substr(0, kShownMax));
  r_.error_at(*at_, exact_ ? base_ + column - 1 : 0, "invalid_expression",
              tree.error().message + " in `" + to_valid_utf8(shown) + "`");
  return nullptr;
}

void Checker::error(const Node& node, std::string code, std::string message, std::string hint) {
  r_.error_at(*at_, exact_ ? base_ + node.offset : 0, std::move(code), std::move(message),
              std::move(hint));
}

void Checker::missing(const Node& node, std::string_view what, const std::string& name,
                      const std::vector<std::string>& names) {
  error(node, "unknown_name", "there is no " + std::string(what) + " `" + name + "`",
        r_.suggest(name, names));
}

void Checker::add(char kind, std::vector<std::string>& list, const std::string& name) {
  if (seen_.insert(kind + name).second) list.push_back(name);
}

void Checker::walk(const Node& node, const Place& place) {
  std::vector<std::string> path;
  const Node* base = static_path(node, path);
  if (base != nullptr) {
    root(*base, place);
    if ((place.roots & root_bit(base->name)) == 0) return;
    path.empty() ? whole(*base, place) : member(node, *base, path, place);
    return;
  }
  for (const Tree& child : node.children) walk(*child, place);
  if (node.op == Op::call) call(node, place);
  types(node, place);
}

void Checker::root(const Node& node, const Place& place) {
  const unsigned bit = root_bit(node.name);
  if (into_ != nullptr && bit == kInputs) into_->inputs = true;
  if (into_ != nullptr && bit == kEvent) into_->event = true;
  if ((place.roots & bit) != 0) return;
  if (bit == kSecrets)
    return error(node, "secrets_here", "`secrets` can be used in `env` and `with` only");
  if (bit == kMatrix && place.job != nullptr && !place.job->spec.matrix)
    return error(node, "not_here", "this job has no `matrix`");
  if (bit != 0) return error(node, "not_here", "`" + node.name + "` cannot be used here");
  std::vector<std::string> names;
  for (const auto& [name, known] : root_names()) names.push_back(name);
  error(node, "unknown_name", "there is no `" + node.name + "`", r_.suggest(node.name, names));
}

// The context itself, or a member of it with a computed name.
void Checker::whole(const Node& node, const Place& place) {
  if (node.name == "secrets" || node.name == "vars") {
    return error(node, "name_it",
                 "`" + node.name + "` is read by name: what a job is given is known beforehand",
                 "write `" + node.name + ".NAME`");
  }
  if (node.name != "needs" || into_ == nullptr || place.job == nullptr ||
      definition_.jobs == nullptr || place.any_job)
    return;
  for (const JobIndex need : place.job->spec.needs)
    add('n', into_->needs, (*definition_.jobs)[need].spec.key);
}

void Checker::member(const Node& node, const Node& base, const Path& path, const Place& place) {
  const std::string& name = path.front();
  switch (root_bit(base.name)) {
    case kInputs: return input(node, path);
    case kNeeds: return need(node, path, place);
    case kSteps: return step(node, path, place);
    case kMatrix: return matrix(node, path, place);
    case kRun:
      if (!has(run_names(), name)) missing(node, "`run` value", name, run_names());
      return;
    case kSecrets:
    case kVars:
      if (!is_identifier(name))
        return error(node, "bad_name",
                     std::string("a secret's or variable's name ") + kIdentifierRule);
      if (into_ == nullptr) return;
      base.name == "vars" ? add('v', into_->vars, name) : add('s', into_->secrets, name);
      return;
    default: return;
  }
}

void Checker::input(const Node& node, const Path& path) {
  if (definition_.spec == nullptr) return;
  std::vector<std::string> names;
  for (const InputSpec& input : definition_.spec->inputs) {
    if (input.name == path[0]) return;
    names.push_back(input.name);
  }
  missing(node, "input", path[0], names);
}

void Checker::need(const Node& node, const Path& path, const Place& place) {
  const std::string& name = path[0];
  static const std::vector<std::string> kValues = {"status", "outputs"};
  if (path.size() > 1 && !has(kValues, path[1]))
    missing(node, "`needs." + name + "` value", path[1], kValues);
  if (definition_.jobs == nullptr) {
    if (into_ != nullptr) add('n', into_->needs, name);
    return;
  }
  const RawJob* found = definition_.find(name);
  if (found == nullptr) {
    if (r_.full()) return;
    std::vector<std::string> names;
    for (const RawJob& job : *definition_.jobs) names.push_back(job.spec.key);
    return missing(node, "job", name, names);
  }
  if (!place.any_job && place.job != nullptr && !definition_.is_ancestor(*place.job, *found)) {
    return error(node, "not_an_ancestor",
                 "`" + place.job->spec.key + "` does not need `" + name +
                     "`, so what became of it is not known here",
                 "add `" + name + "` to `needs`");
  }
  if (into_ != nullptr) add('n', into_->needs, name);
  if (path.size() < 3 || path[1] != "outputs" || found->spec.kind == JobKind::workflow) return;
  std::vector<std::string> names;
  if (found->spec.wait && !found->spec.wait->event.empty()) names.emplace_back("data");
  if (has(names, path[2])) return;
  for (const auto& [output, text] : found->spec.outputs) {
    if (output == path[2]) return;
    names.push_back(output);
  }
  missing(node, "output of `" + name + "` called", path[2], names);
}

void Checker::step(const Node& node, const Path& path, const Place& place) {
  static const std::vector<std::string> kValues = {"status", "outputs", "exit_code"};
  if (place.steps != nullptr && !place.steps->contains(path[0])) {
    return missing(node, "earlier step with the id", path[0],
                   {place.steps->begin(), place.steps->end()});
  }
  if (path.size() > 1 && !has(kValues, path[1]))
    missing(node, "`steps." + path[0] + "` value", path[1], kValues);
}

void Checker::matrix(const Node& node, const Path& path, const Place& place) {
  if (place.job == nullptr || !place.job->spec.matrix) return;
  const MatrixSpec& matrix = *place.job->spec.matrix;
  if (!matrix.expression.empty()) return;
  std::vector<std::string> names;
  for (const MatrixAxis& axis : matrix.axes) {
    if (axis.name == path[0]) return;
    names.push_back(axis.name);
  }
  for (const Value& cell : matrix.include) {
    if (!cell.is_object()) continue;  // an expression, known only later
    for (const Member& member : cell.as_object()) {
      if (member.first == path[0]) return;
      if (std::ranges::find(names, member.first) == names.end()) names.push_back(member.first);
    }
  }
  missing(node, "matrix axis", path[0], names);
}

void Checker::call(const Node& node, const Place& place) {
  const FunctionInfo* function = find_function(node.name);
  if (function == nullptr) {
    return error(node, "unknown_function", "there is no function `" + node.name + "`",
                 r_.suggest(node.name, function_names()));
  }
  const int count = static_cast<int>(node.children.size());
  if (count < function->arguments_min ||
      (function->arguments_max >= 0 && count > function->arguments_max)) {
    std::string wanted = std::to_string(function->arguments_min);
    if (function->arguments_max < 0) wanted += " or more";
    if (function->arguments_max > function->arguments_min)
      wanted += " to " + std::to_string(function->arguments_max);
    return error(
        node, "arguments",
        "`" + node.name + "` takes " + wanted + " arguments, not " + std::to_string(count));
  }
  if (node.name == "hash_files" && !place.files)
    error(node, "not_here",
          "`hash_files` works only where the job's files are: in its steps and its cache key");
  if (function->status && !place.status)
    error(node, "not_here", "`" + node.name + "()` works only in `if`");
}
}  // namespace mc::lang
