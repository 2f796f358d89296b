// Signatures of webhooks: HMAC-SHA256 as GitHub and Gitea send it, and Standard Webhooks. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace mc::auth {

// A Standard Webhooks message is taken this long before and after its own time.
inline constexpr Millis kWebhookWindow{5 * 60'000};

// 64 lower-case hex digits.
std::string hmac_sha256_hex(std::string_view secret, std::string_view message);
// `header` is "sha256=" and the hex HMAC of the body (X-Hub-Signature-256).
bool verify_hub_signature(std::string_view secret, std::string_view body, std::string_view header);

// webhook-id, webhook-timestamp (seconds), webhook-signature ("v1,<base64>", several with spaces
// between). A secret that begins with "whsec_" is base64 behind it.
struct StandardHeaders {
  std::string_view id;
  std::string_view timestamp;
  std::string_view signature;
};
bool verify_standard_webhook(std::string_view secret, std::string_view body,
                             const StandardHeaders& headers, Instant now);

}  // namespace mc::auth
