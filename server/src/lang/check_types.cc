// What the types known beforehand say about an expression: there is no coercion, so much of what
// could go wrong when it runs is certain already.
#include <algorithm>

#include "lang/checker.h"
#include "lang/functions.h"
#include "lang/inputs.h"
#include "model/status.h"

namespace mc::lang {
namespace {
using Type = Value::Type;
using Known = std::optional<Type>;

std::string named(Type type) { return "a " + std::string(type_name(type)); }

Known type_of_call(const Node& node) {
  struct Row {
    Type type;
    std::initializer_list<std::string_view> names;
  };
  static const Row kRows[] = {
      {Type::boolean,
       {"success", "failure", "cancelled", "always", "contains", "starts_with", "ends_with",
        "matches"}},
      {Type::string,
       {"format", "join", "lower", "upper", "trim", "replace", "to_json", "hash_files"}},
      {Type::list, {"split", "keys", "values", "[]"}},
      {Type::number, {"length"}}};
  for (const Row& row : kRows) {
    if (std::find(row.names.begin(), row.names.end(), node.name) != row.names.end())
      return row.type;
  }
  return std::nullopt;
}

bool takes_texts_only(std::string_view function) {
  constexpr std::string_view kFunctions[] = {"starts_with", "ends_with", "matches", "split",
                                             "lower",       "upper",     "trim",    "replace",
                                             "from_json",   "hash_files"};
  return std::find(std::begin(kFunctions), std::end(kFunctions), function) != std::end(kFunctions);
}

Known type_of_input(const WorkflowSpec& spec, const std::string& name) {
  constexpr Type kTypes[] = {Type::string,  Type::number, Type::number,
                             Type::boolean, Type::list,   Type::object};
  for (const InputSpec& input : spec.inputs) {
    if (input.name != name) continue;
    const bool given =
        input.required || (input.default_value.has_value() && !input.default_value->is_null());
    return given ? Known(kTypes[static_cast<std::size_t>(input.type)]) : std::nullopt;
  }
  return std::nullopt;
}

Known type_of_axis(const MatrixSpec& matrix, const std::string& name) {
  if (!matrix.expression.empty() || !matrix.include.empty()) return std::nullopt;
  for (const MatrixAxis& axis : matrix.axes) {
    if (axis.name != name || axis.values.empty()) continue;
    const Type type = axis.values.front().type();
    const bool same = std::all_of(axis.values.begin(), axis.values.end(), [&](const Value& value) {
      const bool made = value.is_string() && value.as_string().find("${{") != std::string::npos;
      return !made && value.type() == type;
    });
    return same ? Known(type) : std::nullopt;
  }
  return std::nullopt;
}

// Whether it is needs.<job>.status or steps.<id>.status.
bool is_status(const Node& node) {
  std::vector<std::string> path;
  const Node* base = static_path(node, path);
  return base != nullptr && (base->name == "needs" || base->name == "steps") && path.size() == 2 &&
         path[1] == "status";
}
}  // namespace

Known Checker::type_of_path(const Node& base, const Path& path, const Place& place) const {
  if (base.name == "inputs" && path.size() == 1 && definition_.spec != nullptr)
    return type_of_input(*definition_.spec, path[0]);
  if (base.name == "env" && path.size() == 1) return Type::string;
  if (base.name == "run" && path.size() == 1)
    return path[0] == "number" || path[0] == "attempt" ? Type::number : Type::string;
  if (base.name == "matrix" && path.size() == 1 && place.job != nullptr && place.job->spec.matrix)
    return type_of_axis(*place.job->spec.matrix, path[0]);
  if (base.name == "steps" && path.size() == 2 && path[1] == "exit_code") return Type::number;
  if (base.name != "needs" && base.name != "steps") return std::nullopt;
  if (path.size() == 2 && path[1] == "status") return Type::string;
  if (path.size() != 3 || path[1] != "outputs") return std::nullopt;
  if (base.name == "steps") return Type::string;
  const RawJob* job = definition_.find(path[0]);
  // A child run's outputs keep their types.
  return job != nullptr && job->spec.kind == JobKind::steps ? Known(Type::string) : std::nullopt;
}

Known Checker::type_of(const Node& node, const Place& place) const {
  switch (node.op) {
    case Op::literal: return node.value.type();
    case Op::call: return type_of_call(node);
    case Op::choose: {
      const Known yes = type_of(*node.children[1], place), no = type_of(*node.children[2], place);
      return yes == no ? yes : std::nullopt;
    }
    case Op::root:
    case Op::member:
    case Op::index: {
      Path path;
      const Node* base = static_path(node, path);
      return base != nullptr ? type_of_path(*base, path, place) : std::nullopt;
    }
    default: return Type::boolean;
  }
}

void Checker::wants_boolean(const Node& node, std::string_view who, const Place& place) {
  const Known type = type_of(node, place);
  if (!type || *type == Type::boolean) return;
  error(node, "wrong_type", std::string(who) + " wants a boolean, and this is " + named(*type),
        "compare it, for example with == ''");
}

void Checker::order(const Node& node, const Place& place) {
  const Known left = type_of(*node.children[0], place), right = type_of(*node.children[1], place);
  const auto orderable = [](const Known& type) {
    return !type || *type == Type::number || *type == Type::string;
  };
  if (orderable(left) && orderable(right) && (!left || !right || left == right)) return;
  const auto shown = [](const Known& type) { return type ? named(*type) : "something else"; };
  error(node, "wrong_type",
        "only two numbers or two strings can be ordered, not " + shown(left) + " and " +
            shown(right));
}

void Checker::status_literal(const Node& literal, bool equal) {
  const std::string& word = literal.value.as_string();
  const auto status = from_name<JobStatus>(word);
  if (status && to_name(*status) == word) return;
  std::vector<std::string> names;
  for (const JobStatus known :
       {JobStatus::succeeded, JobStatus::failed, JobStatus::cancelled, JobStatus::timed_out,
        JobStatus::denied, JobStatus::skipped, JobStatus::reused})
    names.emplace_back(to_name(known));
  r_.warn_at(*at_, exact_ ? base_ + literal.offset : 0, equal ? "always_false" : "always_true",
             "`" + word + "` is no status: this is always " + (equal ? "false" : "true"),
             r_.suggest(word, names));
}

void Checker::equality(const Node& node, const Place& place) {
  const Known left = type_of(*node.children[0], place), right = type_of(*node.children[1], place);
  const bool equal = node.op == Op::equal;
  for (const std::size_t side : {0U, 1U}) {
    const Node& literal = *node.children[side];
    if (literal.op != Op::literal || !literal.value.is_string()) continue;
    if (is_status(*node.children[1 - side])) status_literal(literal, equal);
  }
  if (!left || !right || left == right || *left == Type::null || *right == Type::null) return;
  r_.warn_at(*at_, exact_ ? base_ + node.offset : 0, equal ? "always_false" : "always_true",
             named(*left) + " never equals " + named(*right) + ": this is always " +
                 (equal ? "false" : "true"));
}

void Checker::types(const Node& node, const Place& place) {
  switch (node.op) {
    case Op::negate: return wants_boolean(*node.children[0], "`!`", place);
    case Op::both:
    case Op::either:
      for (const Tree& child : node.children)
        wants_boolean(*child, node.op == Op::both ? "`&&`" : "`||`", place);
      return;
    case Op::choose: return wants_boolean(*node.children[0], "`?`", place);
    case Op::equal:
    case Op::unequal: return equality(node, place);
    case Op::less:
    case Op::less_equal:
    case Op::greater:
    case Op::greater_equal: return order(node, place);
    case Op::call: break;
    default: return;
  }
  if (!takes_texts_only(node.name)) return;
  for (const Tree& child : node.children) {
    const Known type = type_of(*child, place);
    if (type && *type != Type::string)
      error(*child, "wrong_type", "`" + node.name + "` wants strings, and this is " + named(*type));
  }
  if (node.name != "matches" || node.children.size() != 2) return;
  const Node& pattern = *node.children[1];
  if (pattern.op != Op::literal || !pattern.value.is_string()) return;
  const std::string wrong = pattern_error(pattern.value.as_string());
  if (!wrong.empty()) error(pattern, "bad_pattern", "not an RE2 pattern: " + wrong);
}
}  // namespace mc::lang
