#include "api/delivery.h"

#include <algorithm>

#include "auth/signature.h"
#include "base/sha256.h"

namespace mc::api {
namespace {
constexpr std::size_t kDeliveryMax = 255;
}

std::string_view header_of(const Call& call, std::string_view name) {
  const std::string* value = call.request.header(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

bool is_signed(const Call& call, const std::string& secret) {
  const std::string& body = call.request.body;
  for (const char* name : {"x-hub-signature-256", "x-maestro-signature-256"}) {
    const std::string_view signature = header_of(call, name);
    if (!signature.empty()) return auth::verify_hub_signature(secret, body, signature);
  }
  return auth::verify_standard_webhook(
      secret, body,
      {header_of(call, "webhook-id"), header_of(call, "webhook-timestamp"),
       header_of(call, "webhook-signature")},
      call.now());
}

std::string delivery_id(const Call& call) {
  for (const char* name : {"webhook-id", "x-github-delivery", "x-gitea-delivery",
                           "x-forgejo-delivery", "idempotency-key"}) {
    const std::string_view value = header_of(call, name);
    const bool fine =
        !value.empty() && value.size() <= kDeliveryMax &&
        std::all_of(value.begin(), value.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (fine) return std::string(value);
  }
  return {};
}

std::string delivery_project(const Call& call) {
  return call.query("project").empty() ? std::string(kDefaultProject) : call.query("project");
}

std::optional<conductor::Idempotency> delivery_key(const Call& call, const std::string& project,
                                                   const std::string& workflow) {
  std::string delivery = delivery_id(call);
  if (delivery.empty()) return std::nullopt;
  return conductor::Idempotency{.scope = project + "/hook/" + workflow,
                                .key = std::move(delivery),
                                .request_digest = sha256_hex(call.request.body)};
}
}  // namespace mc::api
