#include "lang/yaml.h"

#include <fmt/format.h>

#include <yaml.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/clip.h"
#include "base/json.h"
#include "base/text.h"

namespace mc::lang {
namespace {
constexpr std::size_t kTextMax = 1 << 20;
constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kNodesMax = 250'000;  // all nodes, those behind aliases counted each time
constexpr std::size_t kProblemsMax = 200;

// A whole number in decimal, 0x or 0o form.
std::optional<std::int64_t> plain_integer(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0o")) {
    base = text[1] == 'x' ? 16 : 8;
    text.remove_prefix(2);
    if (text.starts_with('-')) return std::nullopt;
  } else if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  std::int64_t whole = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), whole, base);
  const bool all = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  return all ? std::optional(whole) : std::nullopt;
}

// The core schema's plain scalars (YAML 1.2.2, 10.3.2). Words such as yes and on stay strings, and
// so do .inf and .nan, which JSON cannot carry.
Value plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return Value();
  if (text == "true" || text == "True" || text == "TRUE") return Value(true);
  if (text == "false" || text == "False" || text == "FALSE") return Value(false);
  if (const auto whole = plain_integer(text)) return Value(*whole);
  const bool numeric = text.find_first_not_of("0123456789+-.eE") == std::string::npos &&
                       text.find_first_of("0123456789") != std::string::npos &&
                       !text.starts_with("+-");
  if (!numeric) return Value(text);
  const char* digits = text.data() + (text.front() == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  double real = 0;
  const auto read = std::from_chars(digits, end, real);
  return read.ec == std::errc{} && read.ptr == end ? Value(real) : Value(text);
}

constexpr std::string_view kCoreTags = "tag:yaml.org,2002:";

Problem at_offset(std::string_view text, std::size_t offset, std::string code,
                  std::string message) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return {static_cast<int>(line),
          static_cast<int>(offset - start) + 1,
          std::move(code),
          std::move(message),
          {}};
}
std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

// Owns a libyaml parser and turns its events into a tree. Depth is bounded before recursion.
class Loader {
 public:
  explicit Loader(std::string_view text) : text_(text) {
    MC_CHECK(yaml_parser_initialize(&parser_) == 1);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
  }
  ~Loader() {
    drop_event();
    yaml_parser_delete(&parser_);
  }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  YamlResult load() {
    YamlResult result;
    bool seen = false;
    while (next()) {
      if (event_.type == YAML_STREAM_END_EVENT) break;
      if (event_.type == YAML_DOCUMENT_START_EVENT) {
        if (seen) {
          report("several_documents", "only one document is wanted");
          break;
        }
        seen = true;
        if (next()) node(result.root, 0);
        if (stopped_) break;
      }
    }
    if (!seen && problems_.empty())
      problems_.push_back({1, 1, "empty", "the definition is empty", {}});
    result.problems = std::move(problems_);
    return result;
  }

 private:
  void drop_event() {
    if (have_event_) yaml_event_delete(&event_);
    have_event_ = false;
  }
  bool next() {
    drop_event();
    if (stopped_) return false;
    if (yaml_parser_parse(&parser_, &event_) == 1) {
      have_event_ = true;
      return true;
    }
    std::string message = parser_.problem != nullptr ? parser_.problem : "not YAML";
    if (parser_.context != nullptr) message = std::string(parser_.context) + ": " + message;
    const bool elsewhere =
        parser_.context != nullptr && parser_.context_mark.line != parser_.problem_mark.line;
    if (elsewhere) {
      message += fmt::format(" (it begins at {}:{})", parser_.context_mark.line + 1,
                             parser_.context_mark.column + 1);
    }
    const bool tab = message.find("cannot start any token") != std::string::npos &&
                     text_.find('\t') != std::string_view::npos;
    if (parser_.error == YAML_READER_ERROR) {
      add(at_offset(text_, std::min(parser_.problem_offset, text_.size()), "syntax", message));
    } else {
      add({static_cast<int>(parser_.problem_mark.line) + 1,
           static_cast<int>(parser_.problem_mark.column) + 1, "syntax", std::move(message),
           tab ? "indent with spaces: YAML takes no tabs" : ""});
    }
    stopped_ = true;
    return false;
  }
  void add(Problem problem) {
    if (problems_.size() >= kProblemsMax) return;
    problem.message = clip(problem.message, kProblemBytesMax);
    problems_.push_back(std::move(problem));
  }
  void report(std::string code, std::string message, std::string hint = {}) {
    add({static_cast<int>(event_.start_mark.line) + 1,
         static_cast<int>(event_.start_mark.column) + 1, std::move(code), std::move(message),
         std::move(hint)});
  }
  void stop(std::string code, std::string message) {
    report(std::move(code), std::move(message));
    stopped_ = true;
  }
  void place(YamlNode& node) const {
    node.line = static_cast<int>(event_.start_mark.line) + 1;
    node.column = static_cast<int>(event_.start_mark.column) + 1;
  }
  static std::string text_of(const yaml_char_t* chars) {
    return chars == nullptr ? std::string() : std::string(reinterpret_cast<const char*>(chars));
  }
  // Copies of subtrees, for anchors and for aliases, are counted against the size of a text.
  bool pay(const YamlNode& node) {
    Weight weight;
    weigh(node, weight);
    copied_.nodes += weight.nodes;
    copied_.bytes += weight.bytes;
    if (copied_.nodes <= kNodesMax / 2 && copied_.bytes <= kTextMax) return true;
    stop("alias_bomb", "the anchors and aliases stand for more than a definition may hold, 1 MiB");
    return false;
  }
  void keep_anchor(const std::string& anchor, const YamlNode& node) {
    if (!anchor.empty() && pay(node)) anchors_[anchor] = node;
  }
  // Tags of the core schema only; !!str of a plain scalar makes it a string.
  void check_tag(const std::string& tag, std::initializer_list<std::string_view> known) {
    if (tag.empty() || tag == "!") return;
    for (const std::string_view name : known) {
      if (tag.starts_with(kCoreTags) && tag.substr(kCoreTags.size()) == name) return;
    }
    report("unknown_tag", "the YAML tag " + tag + " is not taken here");
  }

  // Reads the node that the current event begins.
  void node(YamlNode& into, std::size_t depth) {
    if (stopped_) return;
    if (depth >= kDepthMax) return stop("too_deep", "nested deeper than 64 levels");
    if (++nodes_ > kNodesMax) return stop("too_large", "the definition has too many nodes");
    switch (event_.type) {
      case YAML_SCALAR_EVENT: return scalar(into);
      case YAML_ALIAS_EVENT: return alias(into);
      case YAML_SEQUENCE_START_EVENT: return list(into, depth);
      case YAML_MAPPING_START_EVENT: return object(into, depth);
      default: return stop("syntax", "unexpected YAML");
    }
  }

  void scalar(YamlNode& into) {
    place(into);
    const auto& data = event_.data.scalar;
    into.raw.assign(reinterpret_cast<const char*>(data.value), data.length);
    const std::string tag = text_of(data.tag);
    const bool quoted = data.style != YAML_PLAIN_SCALAR_STYLE;
    into.block = data.style == YAML_LITERAL_SCALAR_STYLE || data.style == YAML_FOLDED_SCALAR_STYLE;
    into.quoted = quoted && !into.block;
    into.exact = event_.start_mark.line == event_.end_mark.line &&
                 event_.end_mark.index - event_.start_mark.index ==
                     count_characters(into.raw) + (into.quoted ? 2 : 0);
    check_tag(tag, {"str", "null", "bool", "int", "float"});
    if (into.raw.find('\0') != std::string::npos)
      report("zero_byte", "a text must not hold a zero byte: no process could be given it");
    const bool text = tag.empty() ? quoted : tag == "!" || tag.ends_with(":str");
    into.scalar = text ? Value(into.raw) : plain_scalar(into.raw);
    keep_anchor(text_of(data.anchor), into);
  }

  void alias(YamlNode& into) {
    const std::string name = text_of(event_.data.alias.anchor);
    const auto found = anchors_.find(name);
    if (found == anchors_.end())
      return stop("unknown_anchor", "there is no anchor &" + name + " before this");
    if (!pay(found->second)) return;
    const int line = static_cast<int>(event_.start_mark.line) + 1,
              column = static_cast<int>(event_.start_mark.column) + 1;
    into = found->second;
    into.line = line;
    into.column = column;
    into.exact = false;
  }

  void list(YamlNode& into, std::size_t depth) {
    place(into);
    into.kind = YamlNode::Kind::list;
    const std::string anchor = text_of(event_.data.sequence_start.anchor);
    check_tag(text_of(event_.data.sequence_start.tag), {"seq"});
    while (next() && event_.type != YAML_SEQUENCE_END_EVENT) {
      node(into.items.emplace_back(), depth + 1);
      if (stopped_) return;
    }
    keep_anchor(anchor, into);
  }

  void object(YamlNode& into, std::size_t depth) {
    place(into);
    into.kind = YamlNode::Kind::object;
    const std::string anchor = text_of(event_.data.mapping_start.anchor);
    check_tag(text_of(event_.data.mapping_start.tag), {"map"});
    std::unordered_map<std::string, int> lines;
    std::optional<YamlNode> merged;
    while (next() && event_.type != YAML_MAPPING_END_EVENT) {
      YamlNode key;
      node(key, depth + 1);
      if (stopped_) return;
      if (key.kind != YamlNode::Kind::scalar)
        return stop("not_a_mapping_key", "a key must be a plain word");
      const bool merge = key.raw == "<<" && !key.quoted;
      const auto [first, fresh] = lines.emplace(key.raw, key.line);
      if (!fresh) {
        add({key.line,
             key.column,
             "duplicate_key",
             "the key `" + key.raw + "` is there already, in line " + std::to_string(first->second),
             {}});
      }
      if (!next()) return;
      YamlNode value;
      node(value, depth + 1);
      if (stopped_) return;
      if (merge) {
        merged = std::move(value);
      } else if (fresh) {
        into.members.push_back({std::move(key), std::move(value)});
      }
    }
    if (merged) {
      std::unordered_set<std::string> there;
      for (const auto& member : into.members) there.insert(member.first.raw);
      merge_into(into, *merged, there, true);
    }
    keep_anchor(anchor, into);
  }

  // `<<`: members of the mapping (or list of mappings) that are not there already.
  void merge_into(YamlNode& into, YamlNode& from, std::unordered_set<std::string>& there,
                  bool lists) {
    if (lists && from.kind == YamlNode::Kind::list) {
      for (YamlNode& item : from.items) merge_into(into, item, there, false);
      return;
    }
    if (from.kind != YamlNode::Kind::object) {
      add({from.line, from.column, "wrong_type", "`<<` wants a mapping or a list of mappings", {}});
      return;
    }
    for (auto& member : from.members) {
      if (there.insert(member.first.raw).second) into.members.push_back(std::move(member));
    }
  }

  yaml_parser_t parser_{};
  yaml_event_t event_{};
  bool have_event_ = false;
  bool stopped_ = false;
  std::size_t nodes_ = 0;
  Weight copied_;
  std::string_view text_;
  std::map<std::string, YamlNode> anchors_;
  std::vector<Problem> problems_;
};

}  // namespace

YamlNode::YamlNode() = default;
YamlNode::YamlNode(const YamlNode&) = default;
YamlNode::YamlNode(YamlNode&&) noexcept = default;
YamlNode& YamlNode::operator=(const YamlNode&) = default;
YamlNode& YamlNode::operator=(YamlNode&&) noexcept = default;
YamlNode::~YamlNode() = default;

const YamlNode* YamlNode::find(std::string_view key) const {
  for (const auto& [name, value] : members) {
    if (name.raw == key) return &value;
  }
  return nullptr;
}

void weigh(const YamlNode& node, Weight& into) {
  ++into.nodes;
  into.bytes += node.raw.size() + 1;
  for (const YamlNode& item : node.items) weigh(item, into);
  for (const auto& [key, value] : node.members) {
    weigh(key, into);
    weigh(value, into);
  }
}

YamlResult read_yaml(std::string_view text) {
  YamlResult bad;
  if (text.size() > kTextMax) {
    bad.problems.push_back({1,
                            1,
                            "too_large",
                            "the definition has " +
                                format_size(static_cast<std::int64_t>(text.size())) +
                                ", more than 1 MiB",
                            {}});
    return bad;
  }
  if (const auto offset = find_invalid_utf8(text)) {
    bad.problems.push_back(at_offset(text, *offset, "invalid_utf8", "the text is not valid UTF-8"));
    return bad;
  }
  return Loader(text).load();
}

Value to_value(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::scalar) return node.scalar;
  if (node.kind == YamlNode::Kind::list) {
    List items;
    for (const YamlNode& item : node.items) items.push_back(to_value(item));
    return Value(std::move(items));
  }
  Object members;
  for (const auto& [key, value] : node.members) members.emplace_back(key.raw, to_value(value));
  return Value(std::move(members));
}

bool has_expression(const YamlNode& node) {
  return node.kind == YamlNode::Kind::scalar && node.scalar.is_string() &&
         node.raw.find("${{") != std::string::npos;
}

YamlNode from_value(const Value& value) {
  YamlNode node;
  if (value.is_list()) {
    node.kind = YamlNode::Kind::list;
    for (const Value& item : value.as_list()) node.items.push_back(from_value(item));
  } else if (value.is_object()) {
    node.kind = YamlNode::Kind::object;
    for (const Member& member : value.as_object()) {
      YamlNode key;
      key.scalar = Value(member.first);
      key.raw = member.first;
      node.members.push_back({std::move(key), from_value(member.second)});
    }
  } else {
    node.scalar = value;
    node.raw = value.is_string() ? value.as_string() : value.is_null() ? "" : to_json(value);
  }
  return node;
}
}  // namespace mc::lang
