#include "lang/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/json.h"
#include "base/text.h"

namespace mc::lang {
namespace {
constexpr std::size_t kTextMax = 1 << 20;
constexpr std::size_t kDepthMax = 64;
constexpr std::size_t kNodesMax = 400'000;  // all nodes, those behind aliases counted each time

// The core schema's plain scalars (YAML 1.2.2, 10.3.2). Words such as yes and on stay strings.
Value plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return Value();
  if (text == "true" || text == "True" || text == "TRUE") return Value(true);
  if (text == "false" || text == "False" || text == "FALSE") return Value(false);
  const char* begin = text.data();
  const char* end = begin + text.size();
  const char* digits = *begin == '+' ? begin + 1 : begin;
  std::int64_t whole = 0;
  const auto read = std::from_chars(digits, end, whole);
  if (read.ec == std::errc{} && read.ptr == end) return Value(whole);
  const bool numeric = text.find_first_not_of("0123456789+-.eE") == std::string::npos &&
                       text.find_first_of("0123456789") != std::string::npos;
  double real = 0;
  const auto read_real = std::from_chars(digits, end, real);
  if (numeric && read_real.ec == std::errc{} && read_real.ptr == end) return Value(real);
  return Value(text);
}

std::size_t count_nodes(const YamlNode& node) {
  std::size_t total = 1;
  for (const YamlNode& item : node.items) total += count_nodes(item);
  for (const auto& [key, value] : node.members) total += 1 + count_nodes(value);
  return total;
}

// Owns a libyaml parser and turns its events into a tree. Depth is bounded before recursion.
class Loader {
 public:
  explicit Loader(std::string_view text) {
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
    const auto& mark = parser_.problem_mark;
    const bool reader = parser_.error == YAML_READER_ERROR;
    std::string message = parser_.problem != nullptr ? parser_.problem : "not YAML";
    if (parser_.context != nullptr) message = std::string(parser_.context) + ": " + message;
    problems_.push_back({reader ? 1 : static_cast<int>(mark.line) + 1,
                         reader ? 1 : static_cast<int>(mark.column) + 1,
                         "syntax",
                         std::move(message),
                         {}});
    stopped_ = true;
    return false;
  }
  void report(std::string code, std::string message, std::string hint = {}) {
    problems_.push_back({static_cast<int>(event_.start_mark.line) + 1,
                         static_cast<int>(event_.start_mark.column) + 1, std::move(code),
                         std::move(message), std::move(hint)});
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
  void keep_anchor(const std::string& anchor, const YamlNode& node) {
    if (!anchor.empty()) anchors_[anchor] = node;
  }

  // Reads the node that the current event begins.
  void node(YamlNode& into, std::size_t depth) {
    if (stopped_) return;
    if (depth >= kDepthMax) return stop("too_deep", "nested deeper than 64 levels");
    if (++nodes_ > kNodesMax) return stop("too_large", "the definition has too many nodes");
    switch (event_.type) {
      case YAML_SCALAR_EVENT: return scalar(into);
      case YAML_ALIAS_EVENT: return alias(into, depth);
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
    if (!tag.empty() && tag != "!" && tag != "tag:yaml.org,2002:str" &&
        !tag.starts_with("tag:yaml.org,2002:")) {
      report("unknown_tag", "YAML tags are not taken here: " + tag);
    }
    into.scalar =
        quoted || tag == "tag:yaml.org,2002:str" ? Value(into.raw) : plain_scalar(into.raw);
    keep_anchor(text_of(data.anchor), into);
  }

  void alias(YamlNode& into, std::size_t depth) {
    const std::string name = text_of(event_.data.alias.anchor);
    const auto found = anchors_.find(name);
    if (found == anchors_.end())
      return stop("unknown_anchor", "there is no anchor &" + name + " before this");
    const std::size_t size = count_nodes(found->second);
    nodes_ += size;
    alias_nodes_ += size;
    if (nodes_ > kNodesMax || alias_nodes_ > kNodesMax / 4) {
      return stop("alias_bomb", "the aliases stand for more than the definition may hold");
    }
    (void)depth;
    const int line = static_cast<int>(event_.start_mark.line) + 1,
              column = static_cast<int>(event_.start_mark.column) + 1;
    into = found->second;
    into.line = line;
    into.column = column;
  }

  void list(YamlNode& into, std::size_t depth) {
    place(into);
    into.kind = YamlNode::Kind::list;
    const std::string anchor = text_of(event_.data.sequence_start.anchor);
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
    std::unordered_map<std::string, int> lines;
    std::vector<YamlNode> merges;
    while (next() && event_.type != YAML_MAPPING_END_EVENT) {
      YamlNode key;
      node(key, depth + 1);
      if (stopped_) return;
      if (key.kind != YamlNode::Kind::scalar)
        return stop("not_a_mapping_key", "a key must be a plain word");
      const bool merge = key.raw == "<<";
      const auto [first, fresh] = lines.emplace(key.raw, key.line);
      if (!fresh && !merge) {
        problems_.push_back(
            {key.line,
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
        merges.push_back(std::move(value));
      } else if (fresh) {
        into.members.push_back({std::move(key), std::move(value)});
      }
    }
    for (const YamlNode& merge : merges) merge_into(into, merge);
    keep_anchor(anchor, into);
  }

  // `<<`: members of the mapping (or list of mappings) that are not there already.
  void merge_into(YamlNode& into, const YamlNode& from) {
    if (from.kind == YamlNode::Kind::list) {
      for (const YamlNode& item : from.items) merge_into(into, item);
      return;
    }
    if (from.kind != YamlNode::Kind::object) {
      problems_.push_back({from.line, from.column, "wrong_type", "`<<` wants a mapping", {}});
      return;
    }
    std::unordered_set<std::string> there;
    for (const auto& [key, value] : into.members) there.insert(key.raw);
    for (const auto& member : from.members) {
      if (!there.contains(member.first.raw)) into.members.push_back(member);
    }
  }

  yaml_parser_t parser_{};
  yaml_event_t event_{};
  bool have_event_ = false;
  bool stopped_ = false;
  std::size_t nodes_ = 0;
  std::size_t alias_nodes_ = 0;
  std::map<std::string, YamlNode> anchors_;
  std::vector<Problem> problems_;
};

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
