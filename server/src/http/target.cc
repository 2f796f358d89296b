#include "http/target.h"

#include <algorithm>

#include "base/text.h"

namespace mc::http {
namespace {

Error malformed(std::string what) { return Error{Code::malformed_request, std::move(what), {}}; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// RFC 3986, 5.2.4, on a decoded path that begins with '/'.
Status drop_dot_segments(std::string& path) {
  if (path.find("/.") == std::string::npos) return {};
  std::vector<std::string_view> kept;
  const std::string_view text = path;
  bool folder = false;  // the path ends with a segment that names a folder
  for (std::size_t at = 1; at <= text.size();) {
    const std::size_t end = std::min(text.find('/', at), text.size());
    const std::string_view segment = text.substr(at, end - at);
    folder = segment == "." || segment == "..";
    if (segment == "..") {
      if (kept.empty()) return malformed("the path leads above its root");
      kept.pop_back();
    } else if (segment != ".") {
      kept.push_back(segment);
    }
    at = end + 1;
  }
  std::string out;
  for (const std::string_view segment : kept) out.append("/").append(segment);
  if (folder || out.empty()) out += '/';
  path = std::move(out);
  return {};
}

Status read_query(std::string_view text, Request& into) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    Result<std::string> name = percent_decode(pair.substr(0, equals), true);
    if (!name) return name.error();
    Result<std::string> value =
        percent_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!value) return value.error();
    if (find_invalid_utf8(*name) || find_invalid_utf8(*value))
      return malformed("the query is not UTF-8");
    if (name->find('\0') != std::string::npos || value->find('\0') != std::string::npos)
      return malformed("the query has a NUL");
    if (into.query.size() == kQueryPairsMax) return malformed("the query has too many pairs");
    into.query.emplace_back(std::move(*name), std::move(*value));
  }
  return {};
}
}  // namespace

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return malformed("a percent sign is not followed by two hex digits");
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return out;
}

Status read_target(std::string_view target, Request& into) {
  if (target.empty() || target[0] != '/') return malformed("the target must begin with /");
  const auto visible = [](char c) { return c > 0x20 && c < 0x7f && c != '#'; };
  if (!std::all_of(target.begin(), target.end(), visible))
    return malformed("the target has bytes that must be percent-encoded");
  const std::size_t mark = std::min(target.find('?'), target.size());
  Result<std::string> path = percent_decode(target.substr(0, mark), false);
  if (!path) return path.error();
  if (std::any_of(path->begin(), path->end(), is_control))
    return malformed("the path has control characters");
  if (find_invalid_utf8(*path)) return malformed("the path is not UTF-8");
  if (const Status fine = drop_dot_segments(*path); !fine) return fine;
  into.target = target;
  into.path = std::move(*path);
  into.query.clear();
  return read_query(target.substr(std::min(mark + 1, target.size())), into);
}

}  // namespace mc::http
