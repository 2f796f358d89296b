#include "http/request_head.h"

#include <algorithm>

#include "base/text.h"

namespace mc::http {
namespace {
namespace beast_http = boost::beast::http;

Error malformed(std::string what) { return Error{Code::malformed_request, std::move(what), {}}; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Status check_framing(const beast_http::request_header<>& head) {
  if (head.count(beast_http::field::host) != 1)
    return malformed("exactly one Host header is wanted");
  if (head.count(beast_http::field::content_length) > 1)
    return malformed("Content-Length is repeated");
  const auto encodings = head.count(beast_http::field::transfer_encoding);
  if (encodings == 0) return {};
  const bool chunked = encodings == 1 &&
                       boost::beast::iequals(head[beast_http::field::transfer_encoding], "chunked");
  if (!chunked || head.version() < 11)
    return malformed("Transfer-Encoding: only chunked, and only with HTTP/1.1");
  if (head.count(beast_http::field::content_length) != 0)
    return malformed("Content-Length with Transfer-Encoding");
  return {};
}

Status check_path(const std::string& path) {
  for (const std::string& part : split(path, '/')) {
    if (part == "." || part == "..") return malformed("the path has dot segments");
  }
  if (path.find('\0') != std::string::npos) return malformed("the path has a NUL");
  if (find_invalid_utf8(path)) return malformed("the path is not UTF-8");
  return {};
}
}  // namespace

const std::string* Request::header(std::string_view name) const {
  for (const Header& header : headers) {
    if (boost::beast::iequals(header.name, boost::beast::string_view(name.data(), name.size())))
      return &header.value;
  }
  return nullptr;
}

const std::string* Request::query_value(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

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
  const bool visible =
      std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!visible || target.find('#') != std::string_view::npos)
    return malformed("the target has bytes that must be percent-encoded");
  const std::size_t mark = target.find('?');
  Result<std::string> path = percent_decode(target.substr(0, mark), false);
  if (!path) return path.error();
  if (const Status fine = check_path(*path); !fine) return fine;
  into.target = target;
  into.path = std::move(*path);
  if (mark == std::string_view::npos) return {};
  for (const std::string& pair : split(target.substr(mark + 1), '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    Result<std::string> name = percent_decode(std::string_view(pair).substr(0, equals), true);
    Result<std::string> value =
        equals == std::string::npos
            ? Result<std::string>(std::string())
            : percent_decode(std::string_view(pair).substr(equals + 1), true);
    if (!name) return name.error();
    if (!value) return value.error();
    if (find_invalid_utf8(*name) || find_invalid_utf8(*value))
      return malformed("the query is not UTF-8");
    into.query.emplace_back(std::move(*name), std::move(*value));
  }
  return {};
}

Result<Request> read_head(const beast_http::request_header<>& head) {
  if (const Status fine = check_framing(head); !fine) return fine.error();
  Request request;
  request.method = std::string(head.method_string());
  const auto target = head.target();
  if (const Status fine = read_target({target.data(), target.size()}, request); !fine)
    return fine.error();
  for (const auto& field : head) {
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  return request;
}
}  // namespace mc::http
