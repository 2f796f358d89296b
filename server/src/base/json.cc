#include "base/json.h"

// Its stack adds to a null pointer before its first growth: harmless, and not ours to mend.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#if defined(__SSE2__)
#define RAPIDJSON_SSE2
#endif
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <unordered_set>

#include "base/text.h"

namespace mc {
namespace {
// Above this many members, duplicates are looked for with a hash set instead of by comparison.
constexpr std::size_t kLinearNamesMax = 16;

// Receives RapidJSON's events and builds the Value bottom-up.
class Builder : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Builder> {
 public:
  // `escapes`: the text may have characters written as escapes.
  Builder(int depth_max, bool escapes) : depth_max_(depth_max), escapes_(escapes) {}

  bool Null() { return add(Value()); }
  bool Bool(bool v) { return add(Value(v)); }
  // Numbers come as text: RapidJSON's own conversion has undefined behaviour for zeros with a large
  // exponent (0E200), and std::from_chars is exact.
  bool RawNumber(const char* s, rapidjson::SizeType n, bool) { return number({s, n}); }
  bool String(const char* s, rapidjson::SizeType n, bool) {
    return whole({s, n}) && add(Value(std::string(s, n)));
  }
  bool Key(const char* s, rapidjson::SizeType n, bool) {
    frames_.back().key.assign(s, n);
    return whole({s, n}) && unique_key();
  }
  bool StartObject() { return push(Value(Object{})); }
  bool StartArray() { return push(Value(List{})); }
  bool EndObject(rapidjson::SizeType) { return pop(); }
  bool EndArray(rapidjson::SizeType) { return pop(); }

  Value take() { return std::move(root_); }
  const std::string& complaint() const { return complaint_; }

 private:
  struct Frame {
    Value container;
    std::string key;
    std::unordered_set<std::string> names;
  };

  // RapidJSON takes the second half of a surrogate pair without the first.
  bool whole(std::string_view text) {
    if (!escapes_ || !find_invalid_utf8(text)) return true;
    complaint_ =
        "a \\u escape is half a character: the other half of its surrogate pair is missing";
    return false;
  }

  bool number(std::string_view text) {
    const char* const end = text.data() + text.size();
    if (text.find_first_of(".eE") == std::string_view::npos) {
      std::int64_t whole = 0;
      if (std::from_chars(text.data(), end, whole).ec == std::errc{}) return add(Value(whole));
    }
    double real = 0;
    if (std::from_chars(text.data(), end, real).ec == std::errc::result_out_of_range)
      real =
          std::strtod(std::string(text).c_str(), nullptr);  // too small is 0 or the least there is
    if (!std::isfinite(real)) {
      complaint_ = "the number is too large for a double";
      return false;
    }
    return add(Value(real));
  }

  bool unique_key() {
    Frame& frame = frames_.back();
    const Object& members = frame.container.as_object();
    bool fresh = true;
    if (members.size() < kLinearNamesMax) {
      fresh = frame.container.find(frame.key) == nullptr;
    } else {
      if (frame.names.empty()) {
        for (const Member& m : members) frame.names.insert(m.first);
      }
      fresh = frame.names.insert(frame.key).second;
    }
    if (!fresh) complaint_ = "the name \"" + frame.key + "\" appears twice in one object";
    return fresh;
  }

  bool push(Value container) {
    if (static_cast<int>(frames_.size()) >= depth_max_) {
      complaint_ = "nested deeper than " + std::to_string(depth_max_) + " levels";
      return false;
    }
    frames_.push_back({std::move(container), {}, {}});
    return true;
  }

  bool pop() {
    Value done = std::move(frames_.back().container);
    frames_.pop_back();
    return add(std::move(done));
  }

  bool add(Value value) {
    if (frames_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Frame& frame = frames_.back();
    if (frame.container.is_list()) {
      frame.container.as_list().push_back(std::move(value));
    } else {
      frame.container.as_object().emplace_back(std::move(frame.key), std::move(value));
    }
    return true;
  }

  int depth_max_;
  bool escapes_;
  std::vector<Frame> frames_;
  Value root_;
  std::string complaint_;
};

Error syntax_error(std::string_view text, std::size_t offset, std::string message) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  Problem problem;
  problem.line = static_cast<int>(line);
  problem.column = static_cast<int>(offset - line_start) + 1;
  problem.code = "malformed_json";
  problem.message = std::move(message);
  std::string summary = "line " + std::to_string(problem.line) + ", column " +
                        std::to_string(problem.column) + ": " + problem.message;
  return Error{Code::malformed_json, std::move(summary), {std::move(problem)}};
}

// Not 0 when a byte of `word` is zero.
constexpr std::uint64_t zero_bytes(std::uint64_t word) {
  return (word - 0x0101010101010101U) & ~word & 0x8080808080808080U;
}

// The first place from `at` on that may hold a character to escape: eight bytes at a look.
std::size_t skip_plain(std::string_view text, std::size_t at) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  for (; at + sizeof(std::uint64_t) <= text.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    const std::uint64_t control = (word - kOnes * 0x20) & ~word & (kOnes * 0x80);
    if ((control | zero_bytes(word ^ kOnes * '"') | zero_bytes(word ^ kOnes * '\\')) != 0) break;
  }
  return at;
}

void append_escaped(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  std::size_t clean = 0;
  for (std::size_t i = skip_plain(text, 0); i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, clean, i - clean);
    clean = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        out += "\\u00";
        out.push_back(kHex[c >> 4]);
        out.push_back(kHex[c & 15]);
    }
    i = skip_plain(text, i + 1) - 1;
  }
  out.append(text, clean, text.size() - clean);
  out.push_back('"');
}

void append_real(std::string& out, double number) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number).ptr;
  const std::string_view digits(buffer, static_cast<std::size_t>(end - buffer));
  out += digits;
  // 3.0 stays a double when read back.
  if (digits.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_pretty(std::string& out, const Value& value, std::size_t indent) {
  const auto line = [&](std::size_t depth) { out.append("\n").append(depth * 2, ' '); };
  if (value.is_list() && !value.as_list().empty()) {
    out.push_back('[');
    for (std::size_t i = 0; i < value.as_list().size(); ++i) {
      if (i > 0) out.push_back(',');
      line(indent + 1);
      append_pretty(out, value.as_list()[i], indent + 1);
    }
    line(indent);
    out.push_back(']');
  } else if (value.is_object() && !value.as_object().empty()) {
    out.push_back('{');
    bool first = true;
    for (const Member& member : value.as_object()) {
      if (!first) out.push_back(',');
      first = false;
      line(indent + 1);
      append_escaped(out, member.first);
      out += ": ";
      append_pretty(out, member.second, indent + 1);
    }
    line(indent);
    out.push_back('}');
  } else {
    out += to_json(value);
  }
}
}  // namespace

Result<Value> parse_json(std::string_view text, JsonLimits limits) {
  if (const auto bad = find_invalid_utf8(text)) return syntax_error(text, *bad, "invalid UTF-8");
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos)
    return syntax_error(text, zero, "a zero byte");
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag |
                              rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseInsituFlag;
  // Read in a copy of its own, several bytes at a look: these may lie beyond the end.
  constexpr std::size_t kBeyond = 32;
  std::string copy;
  copy.reserve(text.size() + kBeyond);
  copy.append(text).append(kBeyond, '\0');
  rapidjson::InsituStringStream stream(copy.data());
  rapidjson::Reader reader;
  Builder builder(limits.depth, text.find("\\u") != std::string_view::npos);
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, builder);
  if (result.IsError()) {
    const std::string message = builder.complaint().empty()
                                    ? rapidjson::GetParseError_En(result.Code())
                                    : builder.complaint();
    return syntax_error(text, result.Offset(), message);
  }
  return builder.take();
}

std::string to_json(const Value& value) {
  JsonWriter out;
  out.value(value);
  return out.take();
}

std::string to_pretty_json(const Value& value) {
  std::string out;
  append_pretty(out, value, 0);
  return out;
}

void JsonWriter::separate() {
  if (comma_) out_.push_back(',');
  comma_ = true;
}
JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_.push_back(bracket);
  comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::close(char bracket) {
  out_.push_back(bracket);
  comma_ = true;
  return *this;
}
JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_escaped(out_, name);
  out_.push_back(':');
  comma_ = false;
  return *this;
}
JsonWriter& JsonWriter::null() { return raw("null"); }
JsonWriter& JsonWriter::boolean(bool value) { return raw(value ? "true" : "false"); }
JsonWriter& JsonWriter::integer(std::int64_t value) {
  separate();
  char buffer[24];
  out_.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  return *this;
}
JsonWriter& JsonWriter::real(double value) {
  separate();
  append_real(out_, value);
  return *this;
}
JsonWriter& JsonWriter::string(std::string_view value) {
  separate();
  append_escaped(out_, value);
  return *this;
}
JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}
JsonWriter& JsonWriter::value(const Value& value) {
  switch (value.type()) {
    case Value::Type::null: return null();
    case Value::Type::boolean: return boolean(value.as_bool());
    case Value::Type::number:
      return value.is_int() ? integer(value.as_int()) : real(value.as_double());
    case Value::Type::string: return string(value.as_string());
    case Value::Type::list:
      open('[');
      for (const Value& item : value.as_list()) this->value(item);
      return close(']');
    case Value::Type::object:
      open('{');
      for (const Member& member : value.as_object()) key(member.first).value(member.second);
      return close('}');
  }
  return *this;
}
JsonWriter& JsonWriter::field(std::string_view name, Instant at) {
  key(name);
  return at ? string(to_rfc3339(at)) : null();
}
JsonWriter& JsonWriter::field(std::string_view name, Uuid id) {
  key(name);
  return id ? string(to_string(id)) : null();
}
JsonWriter& JsonWriter::text_or_null(std::string_view name, std::string_view text) {
  key(name);
  return text.empty() ? null() : string(text);
}
}  // namespace mc
