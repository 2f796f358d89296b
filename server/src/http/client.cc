#include "http/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

#include "base/text.h"

namespace mc::http {
namespace {
constexpr long kUploadBytes = 512 << 10;  // at a time of a large body; curl itself takes 64 KiB
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// One exchange, as the callbacks see it.
struct Exchange {
  const ClientRequest& request;
  ClientResponse response;
  CURL* curl = nullptr;
  File source{nullptr, std::fclose};
  std::int64_t source_left = 0;  // bytes of `source` still to be sent
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
  auto& exchange = *static_cast<Exchange*>(user);
  if (exchange.request.body_source) return exchange.request.body_source(data, size * count);
  const auto most = std::min(static_cast<std::int64_t>(size * count), exchange.source_left);
  const std::size_t got =
      std::fread(data, 1, static_cast<std::size_t>(most), exchange.source.get());
  exchange.source_left -= static_cast<std::int64_t>(got);
  return got;
}

// IPv4 addresses that only mean something near this machine (RFC 6890).
bool is_private_v4(std::uint32_t ip) {
  const auto in = [ip](std::uint32_t net, int bits) {
    return (ip >> (32 - bits)) == (net >> (32 - bits));
  };
  return in(0x7f000000, 8) || in(0x0a000000, 8) || in(0xac100000, 12) || in(0xc0a80000, 16) ||
         in(0xa9fe0000, 16) || in(0x64400000, 10) || in(0, 8) || in(0xe0000000, 3) ||
         in(0xc0000000, 24) || in(0xc6120000, 15);
}

bool is_private_v6(const in6_addr& ip) {
  const auto* bytes = ip.s6_addr;
  // Translations of IPv4 (mapped, NAT64, 6to4) are not looked into: nobody needs them here.
  const bool nat64 = bytes[0] == 0x00 && bytes[1] == 0x64 && bytes[2] == 0xff && bytes[3] == 0x9b;
  const bool six_to_four = bytes[0] == 0x20 && bytes[1] == 0x02;
  return IN6_IS_ADDR_LOOPBACK(&ip) || IN6_IS_ADDR_LINKLOCAL(&ip) || IN6_IS_ADDR_UNSPECIFIED(&ip) ||
         IN6_IS_ADDR_SITELOCAL(&ip) || IN6_IS_ADDR_V4MAPPED(&ip) || IN6_IS_ADDR_V4COMPAT(&ip) ||
         IN6_IS_ADDR_MULTICAST(&ip) || (bytes[0] & 0xfe) == 0xfc || nat64 || six_to_four;
}

bool is_private(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return is_private_v4(ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr));
  return address->sa_family != AF_INET6 ||
         is_private_v6(reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

curl_socket_t open_public_socket(void* user, curlsocktype, curl_sockaddr* address) {
  if (is_private(&address->addr)) {
    static_cast<Exchange*>(user)->trouble = "its address is not a public one";
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

using UrlParts = std::unique_ptr<CURLU, void (*)(CURLU*)>;
using UrlText = std::unique_ptr<char, void (*)(void*)>;

UrlParts parse_url(const std::string& url) {
  UrlParts parts(curl_url(), curl_url_cleanup);
  if (parts && curl_url_set(parts.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) parts.reset();
  return parts;
}

std::string url_part(const UrlParts& parts, CURLUPart which) {
  char* text = nullptr;
  if (!parts || curl_url_get(parts.get(), which, &text, 0) != CURLUE_OK) return {};
  return UrlText(text, curl_free).get();
}

// As errors may show it: no user, no password, no query.
std::string public_url(const std::string& url) {
  const UrlParts parts = parse_url(url);
  for (const CURLUPart secret :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    if (parts) curl_url_set(parts.get(), secret, nullptr, 0);
  }
  const std::string shown = url_part(parts, CURLUPART_URL);
  return shown.empty() ? "the given URL" : shown;
}

Error unreachable(const ClientRequest& request, std::string why) {
  return Error{
      Code::unreachable, "cannot reach " + public_url(request.url) + ": " + std::move(why), {}};
}

bool is_loopback(const std::string& url) {
  const std::string host = url_part(parse_url(url), CURLUPART_HOST);
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  return host == "localhost" || host == "[::1]";
}

void set_method(CURL* curl, const ClientRequest& request, Exchange& exchange) {
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (request.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  if (request.body_source) {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(curl, CURLOPT_READDATA, &exchange);
  } else if (exchange.source) {
    std::fseek(exchange.source.get(), 0, SEEK_END);
    const long rest =
        std::max(0L, std::ftell(exchange.source.get()) - static_cast<long>(request.body_offset));
    std::fseek(exchange.source.get(), static_cast<long>(request.body_offset), SEEK_SET);
    exchange.source_left = request.body_size < 0 ? rest : request.body_size;
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(exchange.source_left));
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_upload);
    curl_easy_setopt(curl, CURLOPT_READDATA, &exchange);
  } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
    if (request.body.size() > std::size_t{kUploadBytes} / 8)
      curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, kUploadBytes);
  }
}

void set_blob(CURL* curl, CURLoption option, const std::string& pem) {
  if (pem.empty()) return;
  curl_blob blob{.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_COPY};
  curl_easy_setopt(curl, option, &blob);
}

void set_tls(CURL* curl, const Tls& tls) {
  set_blob(curl, CURLOPT_CAINFO_BLOB, tls.ca_pem);
  // curl would go on to trust what is in its folder of authorities.
  if (!tls.ca_pem.empty()) curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  set_blob(curl, CURLOPT_SSLCERT_BLOB, tls.certificate_pem);
  set_blob(curl, CURLOPT_SSLKEY_BLOB, tls.key_pem);
  if (tls.verify) return;
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
}

// A stream or a long poll notices within kSilentMs that its peer is gone without a word.
int on_socket(void* user, curl_socket_t socket, curlsocktype /*purpose*/) {
  constexpr int kOn = 1, kIdleS = 5, kEveryS = 2;
  constexpr std::int64_t kSilentMs = 12'000;  // tcp(7): ends the probes, whatever their number
  // It also ends a peer that is there and reads nothing, which the call may have more patience for.
  const auto silent_ms = static_cast<unsigned>(
      std::max(kSilentMs, static_cast<const ClientRequest*>(user)->stall_timeout.count()));
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof kOn);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &kIdleS, sizeof kIdleS);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &kEveryS, sizeof kEveryS);
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent_ms, sizeof silent_ms);
  return CURL_SOCKOPT_OK;
}

void set_options(CURL* curl, const ClientRequest& request, Exchange& exchange) {
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, on_socket);
  curl_easy_setopt(curl, CURLOPT_SOCKOPTDATA, &request);
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT,
                   1L);  // a cancelled call does not wait for the resolver
  if (request.block_private_addresses || request.no_proxy || is_loopback(request.url))
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(request.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  if (request.stall_timeout.count() > 0) {
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>((request.stall_timeout.count() + 999) / 1000));
  }
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  if (request.block_private_addresses) {
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_public_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &exchange);
    // A connection that another call has opened was not checked.
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
  }
  if (request.tls != nullptr) set_tls(curl, *request.tls);
  set_method(curl, request, exchange);
}

// Runs the exchange to its end or until it is asked to stop.
CURLcode perform(CURLM* multi, CURL* curl, const std::stop_token& stop) {
  constexpr int kPollMs = 60'000;  // curl wakes for its own time-outs by itself
  const std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });
  if (curl_multi_add_handle(multi, curl) != CURLM_OK) return CURLE_FAILED_INIT;
  CURLcode code = CURLE_OK;
  for (int running = 1; running > 0 && code == CURLE_OK;) {
    if (stop.stop_requested()) {
      code = CURLE_ABORTED_BY_CALLBACK;
    } else if (curl_multi_perform(multi, &running) != CURLM_OK) {
      code = CURLE_FAILED_INIT;
    } else if (running > 0) {
      curl_multi_poll(multi, nullptr, 0, kPollMs, nullptr);
    }
  }
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg == CURLMSG_DONE && code == CURLE_OK) code = message->data.result;
  }
  curl_multi_remove_handle(multi, curl);
  return code;
}

std::string why(CURLcode code, const Exchange& exchange) {
  if (!exchange.trouble.empty()) return exchange.trouble;
  if (code == CURLE_ABORTED_BY_CALLBACK) return "the call was cancelled";
  return curl_easy_strerror(code);
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
  multi_ = curl_multi_init();
  MC_CHECK(curl_ != nullptr && multi_ != nullptr);
}
Client::~Client() {
  curl_easy_cleanup(curl_);
  curl_multi_cleanup(multi_);
}

Result<ClientResponse> Client::send(const ClientRequest& request) {
  CURL* curl = curl_;
  connected_ = false;
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
  const CURLcode code = perform(multi_, curl, request.stop);
  curl_slist_free_all(list);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  exchange.response.status = static_cast<int>(status);
  curl_off_t began_us = 0;  // 0: it never did
  curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &began_us);
  connected_ = began_us > 0 && code != CURLE_COULDNT_CONNECT;
  // A reader that has seen enough ends the call by itself.
  if (code == CURLE_WRITE_ERROR && request.on_data && exchange.trouble.empty())
    return std::move(exchange.response);
  if (code != CURLE_OK) return unreachable(request, why(code, exchange));
  if (exchange.sink && std::fflush(exchange.sink.get()) != 0)
    return unreachable(request, "cannot write " + request.save_to);
  return std::move(exchange.response);
}

}  // namespace mc::http
