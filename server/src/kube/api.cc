#include "kube/api.h"

#include "base/clip.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

namespace mc::kube {
namespace {
constexpr Millis kCallTimeout{30'000};
constexpr Millis kTokenAge{60'000};
constexpr std::size_t kTokenBytesMax = 64 << 10;
constexpr std::size_t kReplyBytesMax = 64 << 20;
constexpr std::size_t kWordsMax = 512;
constexpr int kTooLarge = 413;
constexpr int kTooMany = 429;
constexpr int kServerError = 500;

Reply reply_of(const http::ClientResponse& response) {
  Reply reply{.status = response.status};
  auto body = parse_json(response.body);
  if (body.ok() && body->is_object()) reply.body = std::move(*body);
  return reply;
}

Code code_of(int status) {
  switch (status) {
    case kUnauthorized: return Code::unauthenticated;
    case kForbidden: return Code::forbidden;
    case kNotFound: return Code::not_found;
    case kConflict: return Code::conflict;
    case kTooLarge: return Code::too_large;
    case kTooMany: return Code::rate_limited;
    default: return status >= kServerError ? Code::overloaded : Code::malformed_request;
  }
}
}  // namespace

Api::Api(const Access& access)
    : access_(access),
      tls_{.ca_pem = access.ca_pem,
           .certificate_pem = access.certificate_pem,
           .key_pem = access.key_pem,
           .verify = access.verify},
      token_(access.token) {
  renew_token();
}

// A file that cannot be read for a moment leaves the token that was.
void Api::renew_token() {
  if (access_.token_file.empty()) return;
  token_read_ = system_clock().now();
  if (const auto text = read_file(access_.token_file, kTokenBytesMax); text.ok())
    token_ = std::string(trim(*text));
}

Result<http::ClientResponse> Api::send(http::ClientRequest request) {
  request.url = access_.server + request.url;
  request.tls = &tls_;
  if (system_clock().now() - token_read_ > kTokenAge) renew_token();
  const std::vector<http::Header> plain = request.headers;
  for (bool again = false;; again = true) {
    request.headers = plain;
    if (!token_.empty()) request.headers.push_back({"Authorization", "Bearer " + token_});
    auto response = client_.send(request);
    const std::string used = token_;
    if (!response.ok() || response->status != kUnauthorized || again) return response;
    renew_token();
    if (token_ == used) return response;
  }
}

Result<Reply> Api::call(const std::string& method, const std::string& path, const Body& body) {
  http::ClientRequest request;
  request.method = method;
  request.url = path;
  request.body = body.text;
  request.timeout = kCallTimeout;
  request.body_max = kReplyBytesMax;
  request.headers.push_back({"Accept", "application/json"});
  if (!body.text.empty()) request.headers.push_back({"Content-Type", body.type});
  auto response = send(std::move(request));
  if (!response.ok()) return response.error();
  return reply_of(*response);
}

Result<Reply> Api::create(const std::string& path, const Value& object) {
  return call("POST", path, {to_json(object), "application/json"});
}

Result<Reply> Api::patch(const std::string& path, const Value& change) {
  return call("PATCH", path, {to_json(change), "application/merge-patch+json"});
}

Result<Reply> Api::remove(const std::string& path) {
  return call("DELETE", path,
              {R"({"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Foreground"})",
               "application/json"});
}

Result<std::string> Api::text(const std::string& path) {
  http::ClientRequest request;
  request.url = path;
  request.timeout = kCallTimeout;
  auto response = send(std::move(request));
  if (!response.ok()) return response.error();
  return response->status == 200 ? std::move(response->body) : std::string();
}

Result<Reply> Api::stream(const std::string& path, Millis timeout,
                          const std::function<bool(std::string_view)>& on_data,
                          std::stop_token stop) {
  http::ClientRequest request;
  request.url = path;
  request.timeout = timeout;
  request.on_data = on_data;
  request.stop = std::move(stop);
  request.headers.push_back({"Accept", "application/json"});
  auto response = send(std::move(request));
  if (!response.ok()) return response.error();
  return reply_of(*response);
}

Error refusal(const Reply& reply, const std::string& what) {
  std::string words = clip(reply.body.string_or("message", ""), kWordsMax);
  if (words.empty()) words = "without a word why";
  return {code_of(reply.status),
          what + " was refused by the API server (" + std::to_string(reply.status) + "): " + words,
          {}};
}

}  // namespace mc::kube
