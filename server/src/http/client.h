// HTTP client over libcurl. One Client a thread: it keeps its connections open.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "http/message.h"

namespace mc::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;  // http or https
  std::vector<Header> headers;
  std::string body;
  std::string body_file;   // sent instead of `body` when set
  std::string save_to;     // where the answer's body goes, when set and the status is 2xx
  Millis timeout{30'000};  // of the whole exchange; 0: none (streams)
  Millis connect_timeout{5'000};
  std::size_t body_max = 256 << 20;  // of an answer kept in memory
  // Called with pieces of the answer's body as they come instead of keeping them; false ends the call.
  std::function<bool(std::string_view)> on_data;
  const std::atomic<bool>* cancelled = nullptr;  // looked at several times a second
  bool block_private_addresses = false;          // for addresses that users give
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
  // An HTTP error status is a response. Errors: unreachable, saying why but naming no header.
  Result<ClientResponse> send(const ClientRequest& request);

 private:
  void* curl_;  // CURL*
};

// Server-sent events from pieces of a body.
struct SseEvent {
  std::string id;
  std::string event;
  std::string data;
};
class SseParser {
 public:
  std::vector<SseEvent> feed(std::string_view piece);

 private:
  std::string line_;
  SseEvent open_;
  bool has_data_ = false;
};

}  // namespace mc::http
