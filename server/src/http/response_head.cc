#include "http/response_head.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <ctime>

namespace mc::http {
namespace {
namespace beast = boost::beast;

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void append_clean(std::string& out, std::string_view text) {
  for (const char c : text) {
    out.push_back((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f ? ' ' : c);
  }
}

// The transport alone decides how a message is framed.
bool is_framing(std::string_view name) {
  return beast::iequals(name, "content-length") || beast::iequals(name, "transfer-encoding") ||
         beast::iequals(name, "connection");
}
}  // namespace

void append_header(std::string& out, std::string_view name, std::string_view value) {
  append_clean(out, name);
  out.append(": ");
  append_clean(out, value);
  out.append("\r\n");
}

std::string encode_head(const Response& response, const HeadFacts& facts) {
  std::string out;
  out.reserve(320);
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::uint64_t>(response.status));
  const auto reason = beast::http::obsolete_reason(
      beast::http::int_to_status(static_cast<unsigned>(response.status)));
  out.append(" ").append(reason.data(), reason.size()).append("\r\n");
  if (!response.content_type.empty()) append_header(out, "Content-Type", response.content_type);
  if (facts.chunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  } else if (facts.content_length) {
    out.append("Content-Length: ");
    append_number(out, *facts.content_length);
    out.append("\r\n");
  }
  bool cached = false;
  for (const Header& header : response.headers) {
    if (is_framing(header.name)) continue;
    cached = cached || beast::iequals(header.name, "cache-control");
    append_header(out, header.name, header.value);
  }
  if (!cached) out.append("Cache-Control: no-store\r\n");
  out.append("X-Content-Type-Options: nosniff\r\nX-Request-Id: ").append(facts.request_id);
  out.append("\r\nDate: ").append(facts.date);
  out.append(facts.keep_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
  return out;
}

bool is_request_id(std::string_view text) {
  const auto fine = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), fine);
}

std::string http_date(std::int64_t unix_seconds) {
  const std::time_t seconds = unix_seconds;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

}  // namespace mc::http
