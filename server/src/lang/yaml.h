// YAML 1.2 text (core schema, by libyaml's events) as a tree with positions. Bounded on the way in:
// depth 64, aliases counted against the size; refuses duplicate keys, unknown tags, several
// documents.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/value.h"

namespace mc::lang {

// Of one problem's message or hint: what it quotes of a definition is for finding it again.
inline constexpr std::size_t kProblemBytesMax = 1024;

struct YamlMember;

struct YamlNode {
  enum class Kind : std::uint8_t { scalar, list, object };
  Kind kind = Kind::scalar;
  int line = 0;  // 1-based; 0: not from a text
  int column = 0;
  Value scalar;                     // by the core schema; a quoted scalar is a string
  std::string raw;                  // a scalar as written
  bool block = false;               // a literal or folded block: its lines begin below
  bool quoted = false;              // in single or double quotes
  bool exact = false;               // one line, written just as `raw`: columns can be counted in it
  std::vector<YamlNode> items;      // list
  std::vector<YamlMember> members;  // object, in order; keys are scalars

  YamlNode();
  YamlNode(const YamlNode&);
  YamlNode(YamlNode&&) noexcept;
  YamlNode& operator=(const YamlNode&);
  YamlNode& operator=(YamlNode&&) noexcept;
  ~YamlNode();
  const YamlNode* find(std::string_view key) const;
};
// Text with ${{ in it, whose value comes later.
bool has_expression(const YamlNode& node);
struct YamlMember {
  YamlNode first;  // the key, a scalar
  YamlNode second;
};

struct YamlResult {
  YamlNode root;
  std::vector<Problem> problems;  // empty: good
};
// Problems: too_large, invalid_utf8, syntax, too_deep, duplicate_key, unknown_tag, unknown_anchor,
// alias_bomb, not_a_mapping_key.
YamlResult read_yaml(std::string_view text);
// What a subtree costs when it is copied: nodes, and bytes of text. Adds to `into`.
struct Weight {
  std::size_t nodes = 0;
  std::size_t bytes = 0;
};
void weigh(const YamlNode& node, Weight& into);
// The value that a node stands for.
Value to_value(const YamlNode& node);
// The reverse, without positions: for definitions that come as JSON.
YamlNode from_value(const Value& value);

}  // namespace mc::lang
