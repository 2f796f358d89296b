#include "redis/reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace mc::redis {
namespace {
constexpr std::string_view kLineEnd = "\r\n";
// Longer than any number; texts on one line may be as long as a reply.
constexpr std::size_t kNumberMax = 400;
constexpr std::size_t kCompactAt = 64 << 10;
constexpr std::size_t kVerbatimHead = 4;  // "txt:"

Error malformed(std::string what) {
  return {Code::malformed_request, "what came is not Redis' protocol: " + std::move(what), {}};
}

std::optional<std::int64_t> read_integer(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || read.ec != std::errc{} || read.ptr != text.data() + text.size()) return {};
  return number;
}

std::optional<double> read_number(std::string_view text) {
  if (text == "inf" || text == "+inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  if (text == "nan" || text == "-nan") return std::numeric_limits<double>::quiet_NaN();
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || read.ec != std::errc{} || read.ptr != text.data() + text.size()) return {};
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

Reply::Kind kind_of_list(char type) {
  if (type == '>') return Reply::Kind::push;
  return type == '%' || type == '|' ? Reply::Kind::map : Reply::Kind::list;
}
}  // namespace

void ReplyReader::feed(std::string_view bytes) {
  // Moves at most as many bytes as have been read since the last time.
  if (at_ >= kCompactAt && at_ >= buffer_.size() - at_) {
    buffer_.erase(0, at_);
    scanned_ -= std::min(scanned_, at_);
    at_ = 0;
  }
  buffer_ += bytes;
}

Result<std::optional<Reply>> ReplyReader::next() {
  if (failed_) return *failed_;
  for (;;) {
    const Result<Step> stepped = step();
    const Status fits = check_size();
    if (!stepped || !fits) {
      failed_ = stepped ? fits.error() : stepped.error();
      return *failed_;
    }
    if (*stepped == Step::starved) return std::optional<Reply>();
    if (*stepped == Step::more) continue;
    size_ = items_ = 0;
    return std::optional<Reply>(std::move(whole_));
  }
}

// Also of what has been announced, or is a line without an end so far.
Status ReplyReader::check_size() const {
  const std::size_t pending = text_left_ ? *text_left_ : std::max(at_, scanned_) - at_;
  if (pending <= limits_.bytes_max && size_ + pending <= limits_.bytes_max) return {};
  return malformed("an answer is too long");
}

std::optional<std::string_view> ReplyReader::take_line() {
  const std::size_t from = std::max(at_, scanned_);
  const std::size_t end = buffer_.find(kLineEnd, from);
  if (end == std::string::npos) {
    // Its first byte may be the last that has come.
    scanned_ = std::max(at_, buffer_.empty() ? 0 : buffer_.size() - 1);
    return std::nullopt;
  }
  const std::string_view line = std::string_view(buffer_).substr(at_, end - at_);
  size_ += line.size() + kLineEnd.size();
  at_ = scanned_ = end + kLineEnd.size();
  return line;
}

Result<ReplyReader::Step> ReplyReader::step() {
  if (text_left_) return read_text(text_type_, {});
  const auto line = take_line();
  if (!line) return Step::starved;
  if (line->empty()) return malformed("an empty line");
  if (++items_ > limits_.items_max) return malformed("an answer has too many parts");
  const char type = line->front();
  const std::string_view rest = line->substr(1);
  switch (type) {
    case '$':
    case '!':
    case '=': return read_text(type, rest);
    case '*':
    case '~':
    case '%':
    case '|':
    case '>': return begin_list(type, rest);
    default: return read_line(type, rest);
  }
}

Result<ReplyReader::Step> ReplyReader::begin_list(char type, std::string_view count) {
  const auto length = read_integer(count);
  if (length == -1 && type == '*') return add({});  // RESP2's list that is null
  if (!length || *length < 0) return malformed("a list without a length");
  const std::size_t parts = kind_of_list(type) == Reply::Kind::map ? 2 : 1;
  // Each part is counted when it comes; this keeps the product small.
  if (static_cast<std::uint64_t>(*length) > limits_.items_max)
    return malformed("an answer has too many parts");
  if (open_.size() >= limits_.depth_max) return malformed("lists in lists, too deep");
  Open list{.missing = static_cast<std::size_t>(*length) * parts, .dropped = type == '|'};
  list.reply.kind = kind_of_list(type);
  if (list.missing == 0) return list.dropped ? Step::more : add(std::move(list.reply));
  open_.push_back(std::move(list));
  return Step::more;
}

Result<ReplyReader::Step> ReplyReader::read_text(char type, std::string_view length) {
  if (!text_left_) {
    const auto bytes = read_integer(length);
    if (bytes == -1 && type == '$') return add({});  // RESP2's text that is null
    if (!bytes || *bytes < 0) return malformed("a text without a length");
    text_left_ = static_cast<std::size_t>(*bytes);
    text_type_ = type;
    return Step::more;  // its length is checked before a byte is waited for
  }
  const std::size_t size = *text_left_;
  if (buffer_.size() - at_ < size + kLineEnd.size()) return Step::starved;
  std::string_view text = std::string_view(buffer_).substr(at_, size);
  if (std::string_view(buffer_).substr(at_ + size, kLineEnd.size()) != kLineEnd)
    return malformed("a text is longer than it says");
  size_ += size + kLineEnd.size();
  at_ = scanned_ = at_ + size + kLineEnd.size();
  text_left_.reset();
  if (type == '=') {
    if (text.size() < kVerbatimHead || text[kVerbatimHead - 1] != ':')
      return malformed("a verbatim text without its form");
    text.remove_prefix(kVerbatimHead);
  }
  return add(
      {.kind = type == '!' ? Reply::Kind::error : Reply::Kind::text, .text = std::string(text)});
}

Result<ReplyReader::Step> ReplyReader::read_line(char type, std::string_view line) {
  using Kind = Reply::Kind;
  switch (type) {
    case '+': return add({.kind = Kind::text, .text = std::string(line)});
    case '-': return add({.kind = Kind::error, .text = std::string(line)});
    case '(': {
      const bool digits = std::ranges::all_of(line.substr(line.starts_with('-') ? 1 : 0),
                                              [](char c) { return c >= '0' && c <= '9'; });
      if (!digits || line.empty() || line == "-") return malformed("a big number that is none");
      return add({.kind = Kind::text, .text = std::string(line)});
    }
    case ':': {
      const auto number = read_integer(line);
      if (!number) return malformed("an integer that is none");
      return add({.kind = Kind::integer, .integer = *number});
    }
    case ',': {
      const auto number = line.size() > kNumberMax ? std::nullopt : read_number(line);
      if (!number) return malformed("a number that is none");
      return add({.kind = Kind::number, .number = *number});
    }
    case '#':
      if (line != "t" && line != "f") return malformed("a boolean that is none");
      return add({.kind = Kind::boolean, .integer = line == "t" ? 1 : 0});
    case '_':
      if (!line.empty()) return malformed("a null with a value");
      return add({});
    default: return malformed("an answer of an unknown type");
  }
}

ReplyReader::Step ReplyReader::add(Reply reply) {
  for (;;) {
    if (open_.empty()) {
      whole_ = std::move(reply);
      return Step::done;
    }
    Open& list = open_.back();
    list.reply.items.push_back(std::move(reply));
    if (--list.missing > 0) return Step::more;
    const bool dropped = list.dropped;
    reply = std::move(list.reply);
    open_.pop_back();
    if (dropped) return Step::more;
  }
}

}  // namespace mc::redis
