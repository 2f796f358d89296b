#include "blob/s3/xml.h"

#include <charconv>
#include <cstdint>
#include <optional>

#include "base/text.h"

namespace mc::blob {
namespace {
constexpr std::string_view kSpace = " \t\r\n";

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':';
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto tail = [&](unsigned shift) {
    out += static_cast<char>(0x80U | ((point >> shift) & 0x3fU));
  };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0U | (point >> 6U));
    tail(0);
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0U | (point >> 12U));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xf0U | (point >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<XmlElement> read() {
    skip_space();
    if (rest().starts_with("<?xml") && !skip_past("?>")) return wrong();
    skip_space();
    XmlElement root;
    if (!take("<") || !element(root, 1)) return wrong();
    skip_space();
    if (at_ != text_.size()) return wrong();
    return root;
  }

 private:
  Error wrong() const {
    return {Code::malformed_request, "not the XML of S3 at byte " + std::to_string(at_), {}};
  }
  std::string_view rest() const { return text_.substr(at_); }
  bool take(std::string_view token) {
    if (!rest().starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  void skip_space() { at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size()); }
  bool skip_past(std::string_view token) {
    const std::size_t found = text_.find(token, at_);
    if (found == std::string_view::npos) return false;
    at_ = found + token.size();
    return true;
  }
  std::string_view name() {
    const std::size_t from = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    return text_.substr(from, at_ - from);
  }

  bool attributes() {
    for (skip_space(); at_ < text_.size() && is_name_char(text_[at_]); skip_space()) {
      name();
      if (!take("=") || (text_.substr(at_, 1) != "\"" && text_.substr(at_, 1) != "'")) return false;
      const std::string_view quote = text_.substr(at_, 1);
      ++at_;
      if (!skip_past(quote)) return false;
    }
    return true;
  }

  // After its "<".
  bool element(XmlElement& out, std::size_t depth) {
    const std::string_view full = name();
    if (depth > kXmlDepthMax || ++elements_ > kXmlElementsMax) return false;
    const std::string_view local = full.substr(full.find(':') + 1);  // npos + 1 is 0
    if (local.empty() || local.find(':') != std::string_view::npos) return false;
    out.name = local;
    if (!attributes()) return false;
    if (take("/>")) return true;
    if (!take(">")) return false;
    for (;;) {
      if (!characters(out.text)) return false;
      if (take("</")) return name() == full && (skip_space(), take(">"));
      if (!take("<")) return false;
      if (!element(out.children.emplace_back(), depth + 1)) return false;
    }
  }

  // Up to the next "<".
  bool characters(std::string& out) {
    while (at_ < text_.size() && text_[at_] != '<') {
      if (text_[at_] != '&') {
        out += text_[at_++];
        continue;
      }
      const std::size_t end = text_.find(';', at_);
      if (end == std::string_view::npos) return false;
      const auto read = entity(text_.substr(at_ + 1, end - at_ - 1));
      if (!read) return false;
      append_utf8(out, *read);
      at_ = end + 1;
    }
    return at_ < text_.size();
  }

  static std::optional<std::uint32_t> entity(std::string_view which) {
    if (which == "amp") return '&';
    if (which == "lt") return '<';
    if (which == "gt") return '>';
    if (which == "quot") return '"';
    if (which == "apos") return '\'';
    if (!which.starts_with('#')) return std::nullopt;
    which.remove_prefix(1);
    const bool hex = which.starts_with('x');
    if (hex) which.remove_prefix(1);
    std::uint32_t point = 0;
    const char* end = which.data() + which.size();
    const auto read = std::from_chars(which.data(), end, point, hex ? 16 : 10);
    const bool surrogate = point >= 0xd800 && point < 0xe000;
    if (read.ec != std::errc{} || read.ptr != end || point == 0 || point > 0x10ffff || surrogate)
      return std::nullopt;
    return point;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t elements_ = 0;
};
}  // namespace

const XmlElement* XmlElement::child(std::string_view wanted) const {
  for (const XmlElement& each : children) {
    if (each.name == wanted) return &each;
  }
  return nullptr;
}

const std::string& XmlElement::text_of(std::string_view wanted) const {
  static const std::string kNone;
  const XmlElement* found = child(wanted);
  return found == nullptr ? kNone : found->text;
}

Result<XmlElement> read_xml(std::string_view text) {
  if (find_invalid_utf8(text))
    return Error{Code::malformed_request, "the XML of S3 is not UTF-8", {}};
  return Reader(text).read();
}

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace mc::blob
