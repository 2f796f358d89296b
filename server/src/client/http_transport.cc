#include "client/http_transport.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "http/client.h"

namespace mc::client {
namespace {

http::ClientRequest request_for(const Call& call) {
  http::ClientRequest request;
  request.method = call.method;
  request.url = call.path;
  request.body = call.body;
  request.body_file = call.body_file;
  request.body_offset = call.body_offset;
  request.body_size = call.body_size;
  request.save_to = call.save_to;
  request.timeout = call.timeout;
  request.on_data = call.on_data;
  request.stop = call.stop;
  for (const auto& [name, value] : call.headers) request.headers.push_back({name, value});
  if (!call.body.empty() || !call.body_file.empty()) {
    request.headers.push_back({"Content-Type", call.content_type});
  }
  return request;
}

Result<Answer> answer_of(Result<http::ClientResponse> response) {
  if (!response.ok()) return response.error();
  Answer answer{.status = response->status, .headers = {}, .body = std::move(response->body)};
  for (http::Header& header : response->headers) {
    answer.headers.emplace_back(std::move(header.name), std::move(header.value));
  }
  return answer;
}

bool may_repeat(const Call& call) {
  // A part goes where the upload stands, and that has changed: its sender asks again.
  if (call.method == "PATCH") return false;
  if (call.method == "GET" || call.method == "HEAD" || call.method == "PUT") return true;
  if (call.path.starts_with("/api/v1/worker/")) return true;
  return std::ranges::any_of(call.headers,
                             [](const auto& h) { return to_lower(h.first) == "idempotency-key"; });
}

// A replica that cannot reach its database answers, and serves nobody.
bool is_another_worth_asking(const Result<Answer>& answer) {
  constexpr int kServiceUnavailable = 503;
  if (!answer.ok()) return answer.error().code == Code::unreachable;
  return answer->status == kServiceUnavailable;
}

class HttpTransport final : public Transport {
 public:
  explicit HttpTransport(HttpOptions options) : options_(std::move(options)) {
    MC_CHECK(!options_.urls.empty());
    tls_.ca_pem = options_.ca_pem;
    for (std::string& url : options_.urls) {
      while (url.ends_with('/')) url.pop_back();
    }
  }

  Result<Answer> send(const Call& call) override {
    http::ClientRequest request = request_for(call);
    request.tls = &tls_;
    if (!options_.token.empty()) {
      request.headers.push_back({"Authorization", "Bearer " + options_.token});
    }
    const std::size_t tries = may_repeat(call) ? options_.urls.size() : 1;
    Result<Answer> answer = Error{Code::unreachable, "no server was tried", {}};
    for (std::size_t i = 0; i < tries; ++i) {
      request.url = options_.urls[current_] + call.path;
      answer = answer_of(client_.send(request));
      if (!is_another_worth_asking(answer)) return answer;
      if (call.stop.stop_requested()) return answer;
      current_ = (current_ + 1) % options_.urls.size();
    }
    return answer;
  }

 private:
  HttpOptions options_;
  http::Tls tls_;
  http::Client client_;
  std::size_t current_ = 0;
};

class WebTransport final : public Transport {
 public:
  explicit WebTransport(bool block_private) : block_private_(block_private) {}
  Result<Answer> send(const Call& call) override {
    http::ClientRequest request = request_for(call);
    request.block_private_addresses = block_private_;
    return answer_of(client_.send(request));
  }

 private:
  bool block_private_;
  http::Client client_;
};
}  // namespace

std::unique_ptr<Transport> connect_http(HttpOptions options) {
  return std::make_unique<HttpTransport>(std::move(options));
}

std::unique_ptr<Transport> connect_web(bool block_private_addresses) {
  return std::make_unique<WebTransport>(block_private_addresses);
}

}  // namespace mc::client
