// Calls to a Kubernetes API server. One Api a thread: it keeps its connection.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "base/value.h"
#include "http/client.h"
#include "kube/access.h"

namespace mc::kube {

struct Reply {
  int status = 0;
  Value body = Object{};  // what was JSON; else an empty object
  bool good() const { return status >= 200 && status < 300; }
};

inline constexpr int kUnauthorized = 401;
inline constexpr int kForbidden = 403;
inline constexpr int kNotFound = 404;
inline constexpr int kConflict = 409;
inline constexpr int kGone = 410;

// A token of a file is read again once a minute, and at once after a 401: kubelets rotate it.
class Api {
 public:
  // `access` must outlive this.
  explicit Api(const Access& access);

  // An HTTP error status is a Reply, to be explained by refusal(). A null `body` sends none.
  // Errors: unreachable.
  Result<Reply> get(const std::string& path) { return call("GET", path, {}); }
  Result<Reply> create(const std::string& path, const Value& object);
  // A JSON merge patch.
  Result<Reply> patch(const std::string& path, const Value& change);
  // The object goes once what it owns is gone (propagationPolicy Foreground).
  Result<Reply> remove(const std::string& path);
  // The body as it is; empty for any refusal. Errors: unreachable.
  Result<std::string> text(const std::string& path);
  // A watch: `on_data` gets the bytes of a 2xx answer and returns false to end it.
  Result<Reply> stream(const std::string& path, Millis timeout,
                       const std::function<bool(std::string_view)>& on_data, std::stop_token stop);

 private:
  struct Body {
    std::string text;
    std::string type;
  };
  Result<Reply> call(const std::string& method, const std::string& path, const Body& body);
  Result<http::ClientResponse> send(http::ClientRequest request);
  void renew_token();

  const Access& access_;
  http::Tls tls_;
  http::Client client_;
  std::string token_;
  Instant token_read_;
};

// What a refusal says, in words for people: "403 forbidden: …". Codes: unauthenticated, forbidden,
// not_found, conflict, too_large, rate_limited, overloaded (5xx), else malformed_request.
Error refusal(const Reply& reply, const std::string& what);

}  // namespace mc::kube
