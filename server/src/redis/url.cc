#include "redis/url.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.h"

namespace mc::redis {
namespace {
constexpr std::string_view kForm =
    ": wanted is redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://… for TLS, or "
    "redis+unix:///PATH";
constexpr int kDatabaseMax = 1'000'000;  // a server has 16 unless it says so; it tells
constexpr int kPortMax = 65'535;

Error wrong(std::string what) {
  return {Code::invalid_setting, "REDIS_URL " + std::move(what), {}};
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) return std::nullopt;
    const int byte = hex(text[i + 1]) * 16 + hex(text[i + 2]);
    if (byte == 0) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

std::optional<int> read_number(std::string_view text, int max) {
  int number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool fine = read.ec == std::errc{} && read.ptr == text.data() + text.size();
  return fine && number >= 0 && number <= max ? std::optional(number) : std::nullopt;
}

Status read_user(std::string_view user_info, Place& place) {
  const std::size_t colon = user_info.find(':');
  if (colon == std::string_view::npos)
    return wrong("has a name before @ but no password: write :PASSWORD@HOST or USER:PASSWORD@HOST");
  const auto user = percent_decode(user_info.substr(0, colon));
  const auto password = percent_decode(user_info.substr(colon + 1));
  if (!user || !password)
    return wrong("has a % in its user or password that is no %XX: write %25 for it");
  place.has_password = true;
  place.user = *user;
  place.password = *password;
  return {};
}

Status read_host(std::string_view host, Place& place) {
  if (host.find(',') != std::string_view::npos)
    return wrong("names several hosts: name one address, that of the server that takes writes");
  std::string_view port;
  bool has_port = false;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return wrong("has a [ without its ]");
    const std::string_view behind = host.substr(end + 1);
    if (!behind.empty() && behind.front() != ':') return wrong("has text between ] and the port");
    has_port = !behind.empty();
    port = behind.substr(has_port ? 1 : 0);
    host = host.substr(1, end - 1);
  } else if (const std::size_t colon = host.find(':'); colon != std::string_view::npos) {
    has_port = true;
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    if (port.find(':') != std::string_view::npos)
      return wrong(
          "has several colons in its host: an IPv6 address stands in [ ], and a @, : or / "
          "in a password is written %40, %3A or %2F");
  }
  const bool printable = std::ranges::all_of(host, [](char c) { return c > ' ' && c < '\x7f'; });
  if (host.empty() || !printable) return wrong("has no host" + std::string(kForm));
  if (has_port && read_number(port, kPortMax).value_or(0) == 0)
    return wrong(
        "has a port that is no number from 1 to 65535; a @, : or / in a password is "
        "written %40, %3A or %2F");
  place.host = host;
  if (has_port) place.port = port;
  return {};
}

Status read_database(std::string_view text, Place& place) {
  const auto number = read_number(text, kDatabaseMax);
  if (!number) return wrong("has a database that is no number: write HOST:PORT/0");
  place.database = *number;
  return {};
}

Status read_parameter(std::string_view parameter, Place& place) {
  const std::size_t equals = parameter.find('=');
  const std::string name(parameter.substr(0, equals));
  const auto value = percent_decode(
      equals == std::string_view::npos ? std::string_view() : parameter.substr(equals + 1));
  if (name == "db" && !place.socket.empty()) return read_database(value.value_or(""), place);
  std::string* file = name == "ca"     ? &place.ca_file
                      : name == "cert" ? &place.certificate_file
                      : name == "key"  ? &place.key_file
                                       : nullptr;
  if (file == nullptr)
    return wrong(
        "has a parameter that is not known: there are ca, cert and key, and db behind "
        "redis+unix:///PATH");
  if (!place.tls) return wrong("has the parameter " + name + ", which is for rediss:// alone");
  if (!value || value->empty()) return wrong("has the parameter " + name + " without a file");
  *file = *value;
  return {};
}

Status read_parameters(std::string_view query, Place& place) {
  for (const std::string& parameter : split(query, '&')) {
    if (const Status read = read_parameter(parameter, place); !read) return read;
  }
  if (place.certificate_file.empty() != place.key_file.empty())
    return wrong("has one of the parameters cert and key: a certificate needs its key");
  return {};
}
}  // namespace

std::string Place::shown() const {
  if (!socket.empty()) return "redis+unix://" + socket;
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const std::string end = database == 0 ? "" : "/" + std::to_string(database);
  return (tls ? "rediss://" : "redis://") + name + ":" + port + end;
}

Result<Place> parse_url(std::string_view url) {
  Place place;
  const std::size_t colon = url.find("://");
  const std::string_view scheme = url.substr(0, std::min(colon, url.size()));
  if (colon == std::string_view::npos ||
      (scheme != "redis" && scheme != "rediss" && scheme != "redis+unix"))
    return wrong("is not one" + std::string(kForm));
  place.tls = scheme == "rediss";
  std::string_view rest = url.substr(colon + 3);
  if (rest.find('#') != std::string_view::npos) return wrong("has a #: in a password write %23");
  const std::size_t question = rest.find('?');
  const bool has_query = question != std::string_view::npos;
  const std::string_view query = has_query ? rest.substr(question + 1) : std::string_view();
  rest = rest.substr(0, question);
  // A password may hold an @, though it should not.
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    if (const Status read = read_user(rest.substr(0, at), place); !read) return read.error();
    rest = rest.substr(at + 1);
  }
  const std::size_t slash = rest.find('/');
  const std::string_view path =
      slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  if (scheme == "redis+unix") {
    const auto socket = percent_decode(path);
    if (slash != 0 || path.size() < 2 || !socket)
      return wrong("has no path: write redis+unix:///PATH, with three slashes");
    place.socket = *socket;
  } else {
    if (const Status read = read_host(rest.substr(0, slash), place); !read) return read.error();
    if (path.size() > 1) {
      if (const Status read = read_database(path.substr(1), place); !read) return read.error();
    }
  }
  if (has_query) {
    if (const Status read = read_parameters(query, place); !read) return read.error();
  }
  return place;
}

}  // namespace mc::redis
