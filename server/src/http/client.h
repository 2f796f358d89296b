// HTTP client over libcurl. One Client a thread: it keeps its connections open between calls.
// Follows no redirects. Proxies come from the environment, but never for loopback addresses.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "http/message.h"
#include "http/sse.h"

namespace mc::http {

// What https needs beyond the system's trust. Texts are PEM.
struct Tls {
  std::string ca_pem;           // trusted in place of the system's authorities; empty: those
  std::string certificate_pem;  // of the client, with its key; empty: none
  std::string key_pem;
  bool verify = true;
};

struct ClientRequest {
  std::string method = "GET";
  std::string url;  // http or https
  std::vector<Header> headers;
  std::string body;
  std::string body_file;         // sent instead of `body` when set
  std::int64_t body_offset = 0;  // where in the file it begins
  std::int64_t body_size = -1;   // how much of it from there; -1: the rest
  // Sent instead, in chunks, when set: fills the buffer and returns how much of it; 0 ends the
  // body.
  std::function<std::size_t(char* into, std::size_t size)> body_source;
  std::string save_to;     // where the answer's body goes, when set and the status is 2xx
  Millis timeout{30'000};  // of the whole exchange; 0: none (streams)
  Millis connect_timeout{5'000};
  Millis stall_timeout{
      0};  // the call fails when nothing moves for so long (whole seconds); 0: never
  std::size_t body_max = 256 << 20;  // of an answer kept in memory
  // Called with pieces of a 2xx answer's body as they come instead of keeping them; false ends the
  // call.
  std::function<bool(std::string_view)> on_data;
  std::stop_token stop;  // asked to stop: the call ends at once
  // For addresses that users give: refuses to connect to any address that is not public, whatever
  // its name says, and takes no proxy.
  bool block_private_addresses = false;
  bool no_proxy = false;     // goes to the address itself, whatever the environment says
  const Tls* tls = nullptr;  // null: the system's; must outlive the call
};

struct ClientResponse {
  int status = 0;
  std::vector<Header> headers;  // names in lower case
  std::string body;
  const std::string* header(std::string_view lower_name) const;
};

class Client {
 public:
  Client();
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // An HTTP error status is a response. Errors: unreachable ("cannot reach URL: why"), without any
  // header, query or password.
  Result<ClientResponse> send(const ClientRequest& request);
  // Whether the last send() had a connection. If it had none, nothing was carried out.
  bool connected() const { return connected_; }

 private:
  void* curl_;   // CURL*: one exchange at a time
  void* multi_;  // CURLM*: keeps the connections
  bool connected_ = false;
};

}  // namespace mc::http
