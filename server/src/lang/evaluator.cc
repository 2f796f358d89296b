#include "base/json.h"
#include "base/text.h"
#include "lang/ast.h"
#include "lang/expression.h"
#include "lang/functions.h"

namespace mc::lang {
namespace {
constexpr int kOperationsMax = 10'000;
constexpr std::size_t kResultMax = 1 << 20;
constexpr std::size_t kBytesAnOperation = 256;  // work on large values counts for more

Error wrong(std::string message) { return Error{Code::invalid_expression, std::move(message), {}}; }

std::size_t size_of(const Value& value) {
  if (value.is_string()) return 8 + value.as_string().size();
  std::size_t total = 8;
  if (value.is_list()) {
    for (const Value& item : value.as_list()) total += size_of(item);
  } else if (value.is_object()) {
    for (const Member& member : value.as_object())
      total += member.first.size() + size_of(member.second);
  }
  return total;
}

class Evaluator {
 public:
  explicit Evaluator(const Scope& scope) : scope_(scope) {}

  Result<Value> walk(const Node& node) {
    if (++operations_ > kOperationsMax) return wrong("more than 10,000 operations");
    switch (node.op) {
      case Op::literal: return node.value;
      case Op::root: return root(node);
      case Op::member:
      case Op::index: return member(node);
      case Op::call: return call(node);
      case Op::negate: return negate(node);
      case Op::both:
      case Op::either: return logic(node);
      case Op::choose: return choose(node);
      case Op::equal:
      case Op::unequal:
      case Op::less:
      case Op::less_equal:
      case Op::greater:
      case Op::greater_equal: return compare(node);
    }
    return wrong("unknown operation");
  }

 private:
  Status charge(const Value& value) {
    operations_ += static_cast<int>(size_of(value) / kBytesAnOperation);
    return operations_ > kOperationsMax ? Status(wrong("more than 10,000 operations")) : Status();
  }

  Result<Value> root(const Node& node) {
    const Value* value = scope_.context ? scope_.context(node.name) : nullptr;
    if (value == nullptr) return wrong("`" + node.name + "` cannot be used here");
    return *value;
  }

  // Follows a path without copying what it passes through.
  Result<const Value*> reach(const Node& node, Value& keep) {
    if (++operations_ > kOperationsMax) return wrong("more than 10,000 operations");
    static const Value kNull;
    if (node.op == Op::root) {
      const Value* value = scope_.context ? scope_.context(node.name) : nullptr;
      if (value == nullptr) return wrong("`" + node.name + "` cannot be used here");
      return value;
    }
    if (node.op != Op::member && node.op != Op::index) {
      Result<Value> value = walk(node);
      if (!value) return value.error();
      keep = std::move(*value);
      return &keep;
    }
    const Result<const Value*> parent = reach(*node.children[0], keep);
    if (!parent) return parent;
    const Value* found = nullptr;
    if (node.op == Op::member) {
      found = (*parent)->find(node.name);
    } else {
      const Result<Value> key = walk(*node.children[1]);
      if (!key) return key.error();
      if (key->is_string()) {
        found = (*parent)->find(key->as_string());
      } else if (key->is_int() && (*parent)->is_list()) {
        const auto at = key->as_int();
        const List& items = (*parent)->as_list();
        if (at >= 0 && at < static_cast<std::int64_t>(items.size()))
          found = &items[static_cast<std::size_t>(at)];
      } else if (!key->is_number()) {
        return wrong("an index must be a string or a whole number, not a " +
                     std::string(type_name(key->type())));
      }
    }
    operations_ +=
        static_cast<int>((*parent)->is_object() ? (*parent)->as_object().size() / 64 : 0);
    return found != nullptr ? found : &kNull;
  }

  Result<Value> member(const Node& node) {
    Value keep;
    const Result<const Value*> found = reach(node, keep);
    if (!found) return found.error();
    if (const Status paid = charge(**found); !paid) return paid.error();
    return **found;
  }

  Result<bool> truth(const Node& node, std::string_view where) {
    const Result<Value> value = walk(node);
    if (!value) return value.error();
    if (!value->is_bool()) {
      return wrong(std::string(where) + " wants a boolean, not a " +
                   std::string(type_name(value->type())));
    }
    return value->as_bool();
  }

  Result<Value> negate(const Node& node) {
    const Result<bool> value = truth(*node.children[0], "!");
    if (!value) return value.error();
    return Value(!*value);
  }

  Result<Value> logic(const Node& node) {
    const bool both = node.op == Op::both;
    for (const Tree& child : node.children) {
      const Result<bool> value = truth(*child, both ? "&&" : "||");
      if (!value) return value.error();
      if (*value != both) return Value(*value);
    }
    return Value(both);
  }

  Result<Value> choose(const Node& node) {
    const Result<bool> condition = truth(*node.children[0], "?");
    if (!condition) return condition.error();
    return walk(*node.children[*condition ? 1 : 2]);
  }

  Result<Value> compare(const Node& node) {
    const Result<Value> left = walk(*node.children[0]);
    if (!left) return left;
    const Result<Value> right = walk(*node.children[1]);
    if (!right) return right;
    if (const Status paid = charge(*left); !paid) return paid.error();
    if (node.op == Op::equal) return Value(*left == *right);
    if (node.op == Op::unequal) return Value(!(*left == *right));
    int order = 0;
    if (left->is_number() && right->is_number()) {
      order =
          left->is_int() && right->is_int()
              ? (left->as_int() > right->as_int()) - (left->as_int() < right->as_int())
              : (left->as_double() > right->as_double()) - (left->as_double() < right->as_double());
    } else if (left->is_string() && right->is_string()) {
      order = left->as_string().compare(right->as_string());
    } else {
      return wrong("only two numbers or two strings can be ordered, not a " +
                   std::string(type_name(left->type())) + " and a " +
                   std::string(type_name(right->type())));
    }
    if (node.op == Op::less) return Value(order < 0);
    if (node.op == Op::less_equal) return Value(order <= 0);
    if (node.op == Op::greater) return Value(order > 0);
    return Value(order >= 0);
  }

  Result<Value> call(const Node& node) {
    const FunctionInfo* function = find_function(node.name);
    if (function == nullptr) {
      const auto near = nearest(node.name, function_names());
      return wrong("there is no function `" + node.name + "`" +
                   (near ? "; did you mean `" + *near + "`?" : ""));
    }
    const int count = static_cast<int>(node.children.size());
    if (count < function->arguments_min ||
        (function->arguments_max >= 0 && count > function->arguments_max)) {
      return wrong("`" + node.name + "` takes another number of arguments");
    }
    if (node.name == "success") return Value(scope_.status.success);
    if (node.name == "failure") return Value(scope_.status.failure);
    if (node.name == "cancelled") return Value(scope_.status.cancelled);
    if (node.name == "always") return Value(true);
    std::vector<Value> arguments;
    for (const Tree& child : node.children) {
      Result<Value> argument = walk(*child);
      if (!argument) return argument;
      if (const Status paid = charge(*argument); !paid) return paid.error();
      arguments.push_back(std::move(*argument));
    }
    if (node.name == "hash_files") return hash_files(arguments);
    operations_ += static_cast<int>(cost_of_call(node.name, arguments));
    if (operations_ > kOperationsMax) return wrong("more than 10,000 operations");
    Result<Value> result = call_function(node.name, arguments);
    if (result && size_of(*result) > kResultMax) return wrong("the result is larger than 1 MiB");
    return result;
  }

  Result<Value> hash_files(const std::vector<Value>& arguments) {
    if (!scope_.hash_files)
      return wrong("hash_files works only where the job's files are: in its steps and cache key");
    std::vector<std::string> globs;
    for (const Value& argument : arguments) {
      if (!argument.is_string()) return wrong("hash_files wants strings");
      globs.push_back(argument.as_string());
    }
    Result<std::string> hash = scope_.hash_files(globs);
    if (!hash) return hash.error();
    return Value(std::move(*hash));
  }

  const Scope& scope_;
  int operations_ = 0;
};

bool calls(const Node& node, std::string_view function) {
  if (node.op == Op::call && node.name == function) return true;
  return std::any_of(node.children.begin(), node.children.end(),
                     [&](const Tree& child) { return calls(*child, function); });
}

bool names_status(const Node& node) {
  if (node.op == Op::call) {
    const FunctionInfo* function = find_function(node.name);
    if (function != nullptr && function->status) return true;
  }
  for (const Tree& child : node.children) {
    if (names_status(*child)) return true;
  }
  return false;
}
}  // namespace

Result<Value> evaluate(std::string_view expression, const Scope& scope) {
  const Result<Tree> tree = parse_expression(expression);
  if (!tree) return tree.error();
  Result<Value> value = Evaluator(scope).walk(**tree);
  if (value && size_of(*value) > kResultMax) return wrong("the result is larger than 1 MiB");
  return value;
}

Result<Value> evaluate_template(std::string_view text, const Scope& scope) {
  std::size_t open = text.find("${{");
  if (open == std::string_view::npos) return Value(text);
  std::string out;
  std::size_t from = 0;
  while (open != std::string_view::npos) {
    const std::size_t close = find_expression_end(text, open + 3);
    if (close == std::string_view::npos) return wrong("`${{` has no `}}`");
    Result<Value> value = evaluate(text.substr(open + 3, close - open - 3), scope);
    if (!value) return value;
    if (open == 0 && close + 2 == text.size()) return value;
    out += text.substr(from, open - from);
    out += to_text(*value);
    if (out.size() > kResultMax) return wrong("the result is larger than 1 MiB");
    from = close + 2;
    open = text.find("${{", from);
  }
  out += text.substr(from);
  return Value(std::move(out));
}

Result<std::string> evaluate_text(std::string_view text, const Scope& scope) {
  const Result<Value> value = evaluate_template(text, scope);
  if (!value) return value.error();
  return to_text(*value);
}

Result<bool> evaluate_condition(std::string_view condition, const Scope& scope) {
  if (trim(condition).empty()) return scope.status.success;
  const Result<Tree> tree = parse_expression(condition);
  if (!tree) return tree.error();
  if (!names_status(**tree) && !scope.status.success) return false;
  const Result<Value> value = Evaluator(scope).walk(**tree);
  if (!value) return value.error();
  if (!value->is_bool()) {
    return wrong("`if` wants a boolean, not a " + std::string(type_name(value->type())));
  }
  return value->as_bool();
}

bool outlives_cancel(std::string_view condition) {
  const Result<Tree> tree = parse_expression(condition);
  return tree && (calls(**tree, "always") || calls(**tree, "cancelled"));
}

std::size_t find_expression_end(std::string_view text, std::size_t from) {
  for (std::size_t i = from; i < text.size(); ++i) {
    const char quote = text[i];
    if (quote == '\'' || quote == '"') {
      for (++i; i < text.size() && text[i] != quote; ++i) {
        if (quote == '"' && text[i] == '\\') ++i;
      }
    } else if (text.substr(i, 2) == "}}") {
      return i;
    }
  }
  return std::string_view::npos;
}
}  // namespace mc::lang
