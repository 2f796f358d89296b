// Precedence climbing over the grammar of docs/reference/expressions.md.
#include <charconv>

#include "base/clip.h"
#include "base/json.h"
#include "lang/ast.h"

namespace mc::lang {
namespace {
constexpr int kDepthMax = 64;

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}
bool starts_word(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }

struct Infix {
  std::string_view sign;
  Op op;
  int level;  // higher binds tighter
};
constexpr Infix kInfixes[] = {{"||", Op::either, 1},     {"&&", Op::both, 2},
                              {"==", Op::equal, 3},      {"!=", Op::unequal, 3},
                              {"<=", Op::less_equal, 4}, {">=", Op::greater_equal, 4},
                              {"<", Op::less, 4},        {">", Op::greater, 4}};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Tree> parse() {
    Tree tree = choice(0);
    skip_space();
    if (tree && at_ < text_.size())
      fail(at_, "unexpected `" + std::string(head_of(text_.substr(at_), 10)) + "`");
    if (!error_.message.empty()) return std::move(error_);
    return tree;
  }

 private:
  Tree fail(std::size_t offset, std::string message) {
    if (error_.message.empty()) {
      error_ = {Code::invalid_expression, message, {}};
      error_.problems.push_back(
          {1, static_cast<int>(offset) + 1, "invalid_expression", std::move(message), {}});
    }
    at_ = text_.size();
    return nullptr;
  }
  Tree make(Op op, std::size_t offset) const {
    auto node = std::make_unique<Node>();
    node->op = op;
    node->offset = offset;
    return node;
  }
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool take(std::string_view sign) {
    skip_space();
    if (text_.substr(at_, sign.size()) != sign) return false;
    at_ += sign.size();
    return true;
  }

  Tree choice(int depth) {
    if (depth > kDepthMax) return fail(at_, "nested deeper than 64 levels");
    Tree condition = infix(0, depth);
    const std::size_t offset = at_;
    if (!condition || !take("?")) return condition;
    Tree yes = choice(depth + 1);
    if (!yes) return nullptr;
    if (!take(":")) return fail(at_, "`:` is missing after `?`");
    Tree no = choice(depth + 1);
    if (!no) return nullptr;
    Tree node = make(Op::choose, offset);
    node->children.push_back(std::move(condition));
    node->children.push_back(std::move(yes));
    node->children.push_back(std::move(no));
    return node;
  }

  Tree infix(int level, int depth) {
    Tree left = prefix(depth);
    int chain = 0;
    while (left) {
      skip_space();
      const Infix* found = nullptr;
      for (const Infix& sign : kInfixes) {
        if (text_.substr(at_, sign.sign.size()) == sign.sign) {
          found = &sign;
          break;
        }
      }
      if (found == nullptr || found->level <= level) return left;
      const bool same = left->op == found->op && (found->op == Op::both || found->op == Op::either);
      // A chain of others makes a deep tree, though it is read without recursion.
      if (!same && ++chain + depth > kDepthMax) return fail(at_, "more than 64 operators in a row");
      const std::size_t offset = at_;
      at_ += found->sign.size();
      Tree right = infix(found->level, depth);
      if (!right) return nullptr;
      if (same) {  // a && b && c is one node of three
        left->children.push_back(std::move(right));
        continue;
      }
      Tree node = make(found->op, offset);
      node->children.push_back(std::move(left));
      node->children.push_back(std::move(right));
      left = std::move(node);
    }
    return left;
  }

  Tree prefix(int depth) {
    if (depth > kDepthMax) return fail(at_, "nested deeper than 64 levels");
    skip_space();
    const std::size_t offset = at_;
    if (at_ < text_.size() && text_[at_] == '!' && text_.substr(at_, 2) != "!=") {
      ++at_;
      Tree inner = prefix(depth + 1);
      if (!inner) return nullptr;
      Tree node = make(Op::negate, offset);
      node->children.push_back(std::move(inner));
      return node;
    }
    return postfix(depth);
  }

  Tree postfix(int depth) {
    Tree value = primary(depth);
    int chain = 0;
    while (value) {
      const std::size_t offset = at_;
      if (at_ < text_.size() && text_[at_] == '.') {
        ++at_;
        const std::size_t from = at_;
        while (at_ < text_.size() && is_word(text_[at_])) ++at_;
        if (at_ == from) return fail(from, "a name is missing after `.`");
        Tree node = make(Op::member, from);
        node->name = text_.substr(from, at_ - from);
        node->children.push_back(std::move(value));
        value = std::move(node);
      } else if (at_ < text_.size() && text_[at_] == '[') {
        ++at_;
        Tree key = choice(depth + 1);
        if (!key) return nullptr;
        if (!take("]")) return fail(at_, "`]` is missing");
        Tree node = make(Op::index, offset);
        node->children.push_back(std::move(value));
        node->children.push_back(std::move(key));
        value = std::move(node);
      } else {
        return value;
      }
      if (++chain > kDepthMax) return fail(at_, "more than 64 members in a row");
    }
    return value;
  }

  Tree primary(int depth) {
    skip_space();
    const std::size_t offset = at_;
    if (at_ >= text_.size()) return fail(offset, "the expression ends too early");
    const char c = text_[at_];
    if (c == '(') {
      ++at_;
      Tree inner = choice(depth + 1);
      if (!inner) return nullptr;
      return take(")") ? std::move(inner) : fail(at_, "`)` is missing");
    }
    if (c == '\'') return single_quoted(offset);
    if (c == '"') return double_quoted(offset);
    if (std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '-') return number(offset);
    if (c == '[') return list(offset, depth);
    if (starts_word(c)) return word(offset, depth);
    return fail(offset, "unexpected `" + std::string(1, c) + "`");
  }

  Tree literal(std::size_t offset, Value value) const {
    Tree node = make(Op::literal, offset);
    node->value = std::move(value);
    return node;
  }

  Tree single_quoted(std::size_t offset) {
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] != '\'') {
        out.push_back(text_[at_]);
      } else if (text_.substr(at_, 2) == "''") {
        out.push_back('\'');
        ++at_;
      } else {
        ++at_;
        return literal(offset, Value(std::move(out)));
      }
    }
    return fail(offset, "the string has no end");
  }

  Tree double_quoted(std::size_t offset) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return fail(offset, "the string has no end");
    Result<Value> value = parse_json(text_.substr(at_, end + 1 - at_));
    if (!value) return fail(offset, "not a JSON string: " + value.error().message);
    at_ = end + 1;
    return literal(offset, std::move(*value));
  }

  Tree number(std::size_t offset) {
    std::size_t end = at_ + 1;
    while (end < text_.size() &&
           (is_word(text_[end]) || text_[end] == '.' ||
            ((text_[end] == '+') && (text_[end - 1] == 'e' || text_[end - 1] == 'E')))) {
      ++end;
    }
    Result<Value> value = parse_json(text_.substr(at_, end - at_));
    if (!value || !value->is_number())
      return fail(offset, "not a number: " + std::string(text_.substr(at_, end - at_)));
    at_ = end;
    return literal(offset, std::move(*value));
  }

  // [a, b]: a list of expressions.
  Tree list(std::size_t offset, int depth) {
    ++at_;
    Tree node = make(Op::call, offset);
    node->name = "[]";
    return arguments(std::move(node), "]", depth);
  }

  Tree arguments(Tree node, std::string_view closing, int depth) {
    if (take(closing)) return node;
    while (true) {
      Tree argument = choice(depth + 1);
      if (!argument) return nullptr;
      node->children.push_back(std::move(argument));
      if (take(closing)) return node;
      if (!take(",")) return fail(at_, "`,` or `" + std::string(closing) + "` is missing");
    }
  }

  Tree word(std::size_t offset, int depth) {
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    const std::string_view name = text_.substr(offset, at_ - offset);
    if (name == "true") return literal(offset, Value(true));
    if (name == "false") return literal(offset, Value(false));
    if (name == "null") return literal(offset, Value());
    const bool call = take("(");
    Tree node = make(call ? Op::call : Op::root, offset);
    node->name = call && name == "canceled" ? "cancelled" : name;  // both spellings are English
    return call ? arguments(std::move(node), ")", depth) : std::move(node);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Error error_{Code::invalid_expression, "", {}};
};
}  // namespace

Result<Tree> parse_expression(std::string_view text) { return Parser(text).parse(); }
}  // namespace mc::lang
