#include "http/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>

#include "base/text.h"

namespace mc::http {
namespace {
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// One exchange, as the callbacks see it.
struct Exchange {
  const ClientRequest& request;
  ClientResponse response;
  CURL* curl = nullptr;
  File source{nullptr, std::fclose};
  File sink{nullptr, std::fclose};
  std::string trouble;
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line = trim({data, size * count});
  const std::size_t colon = line.find(':');
  if (line.starts_with("HTTP/")) {
    exchange.response.headers.clear();
  } else if (colon != std::string_view::npos) {
    exchange.response.headers.push_back(
        {to_lower(line.substr(0, colon)), std::string(trim(line.substr(colon + 1)))});
  }
  return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::size_t bytes = size * count;
  long status = 0;
  curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &status);
  const bool good = status >= 200 && status < 300;
  if (exchange.request.on_data && good) return exchange.request.on_data({data, bytes}) ? bytes : 0;
  if (exchange.sink && good) return std::fwrite(data, 1, bytes, exchange.sink.get());
  if (exchange.response.body.size() + bytes > exchange.request.body_max) {
    exchange.trouble =
        "the answer is larger than " + std::to_string(exchange.request.body_max) + " bytes";
    return 0;
  }
  exchange.response.body.append(data, bytes);
  return bytes;
}

std::size_t on_upload(char* data, std::size_t size, std::size_t count, void* user) {
  return std::fread(data, size, count, static_cast<Exchange*>(user)->source.get());
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& exchange = *static_cast<Exchange*>(user);
  return exchange.request.cancelled != nullptr && exchange.request.cancelled->load() ? 1 : 0;
}

bool is_private(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const std::uint32_t ip = ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr);
    const auto in = [ip](std::uint32_t net, int bits) {
      return (ip >> (32 - bits)) == (net >> (32 - bits));
    };
    return in(0x7f000000, 8) || in(0x0a000000, 8) || in(0xac100000, 12) || in(0xc0a80000, 16) ||
           in(0xa9fe0000, 16) || in(0x64400000, 10) || in(0, 8) || in(0xe0000000, 3);
  }
  if (address->sa_family != AF_INET6) return true;
  const auto& ip = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&ip) || IN6_IS_ADDR_LINKLOCAL(&ip) || IN6_IS_ADDR_UNSPECIFIED(&ip) ||
         IN6_IS_ADDR_V4MAPPED(&ip) || IN6_IS_ADDR_MULTICAST(&ip) || (ip.s6_addr[0] & 0xfe) == 0xfc;
}

curl_socket_t open_public_socket(void*, curlsocktype, curl_sockaddr* address) {
  if (is_private(&address->addr)) return CURL_SOCKET_BAD;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

Error unreachable(const ClientRequest& request, std::string why) {
  return Error{
      Code::unreachable,
      "cannot reach " + request.url.substr(0, request.url.find('?')) + ": " + std::move(why),
      {}};
}

bool is_loopback(const std::string& url) {
  return url.find("://127.") != std::string::npos ||
         url.find("://localhost") != std::string::npos || url.find("://[::1]") != std::string::npos;
}

void set_method(CURL* curl, const ClientRequest& request, Exchange& exchange) {
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (exchange.source) {
    std::fseek(exchange.source.get(), 0, SEEK_END);
    const long size = std::ftell(exchange.source.get());
    std::rewind(exchange.source.get());
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(curl, CURLOPT_READDATA, &exchange);
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
  }
}

void set_options(CURL* curl, const ClientRequest& request, Exchange& exchange) {
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  if (is_loopback(request.url)) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(request.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  if (request.cancelled != nullptr) {
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
  }
  if (request.block_private_addresses)
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_public_socket);
  set_method(curl, request, exchange);
}
}  // namespace

const std::string* ClientResponse::header(std::string_view lower_name) const {
  for (const Header& header : headers) {
    if (header.name == lower_name) return &header.value;
  }
  return nullptr;
}

Client::Client() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  curl_ = curl_easy_init();
  MC_CHECK(curl_ != nullptr);
}
Client::~Client() { curl_easy_cleanup(curl_); }

Result<ClientResponse> Client::send(const ClientRequest& request) {
  CURL* curl = curl_;
  curl_easy_reset(curl);
  Exchange exchange{.request = request, .response = {}, .curl = curl};
  if (!request.body_file.empty()) {
    exchange.source.reset(std::fopen(request.body_file.c_str(), "rbe"));
    if (!exchange.source) return unreachable(request, "cannot read " + request.body_file);
  }
  if (!request.save_to.empty()) {
    exchange.sink.reset(std::fopen(request.save_to.c_str(), "wbe"));
    if (!exchange.sink) return unreachable(request, "cannot write " + request.save_to);
  }
  set_options(curl, request, exchange);
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const Header& header : request.headers)
    list = curl_slist_append(list, (header.name + ": " + header.value).c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(list);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  exchange.response.status = static_cast<int>(status);
  // A reader that has seen enough ends the call by itself.
  if (code == CURLE_WRITE_ERROR && request.on_data && exchange.trouble.empty())
    return std::move(exchange.response);
  if (code != CURLE_OK) {
    return unreachable(request,
                       exchange.trouble.empty() ? curl_easy_strerror(code) : exchange.trouble);
  }
  if (exchange.sink && std::fflush(exchange.sink.get()) != 0)
    return unreachable(request, "cannot write " + request.save_to);
  return std::move(exchange.response);
}

std::vector<SseEvent> SseParser::feed(std::string_view piece) {
  constexpr std::size_t kLineMax = 16 << 20;
  std::vector<SseEvent> events;
  for (const char c : piece) {
    if (c != '\n') {
      if (line_.size() < kLineMax) line_.push_back(c);
      continue;
    }
    if (line_.ends_with('\r')) line_.pop_back();
    if (line_.empty()) {
      if (has_data_) events.push_back(open_);
      open_.event.clear();
      open_.data.clear();
      has_data_ = false;
    } else if (line_[0] != ':') {
      const std::size_t colon = line_.find(':');
      std::string_view value =
          colon == std::string::npos ? "" : std::string_view(line_).substr(colon + 1);
      if (value.starts_with(' ')) value.remove_prefix(1);
      const std::string_view name = std::string_view(line_).substr(0, colon);
      if (name == "id") open_.id = value;
      if (name == "event") open_.event = value;
      if (name == "data") {
        if (has_data_) open_.data += '\n';
        open_.data += value;
        has_data_ = true;
      }
    }
    line_.clear();
  }
  return events;
}
}  // namespace mc::http
