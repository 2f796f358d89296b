#include "auth/signature.h"

#include <sodium.h>

#include <array>
#include <charconv>

#include "auth/token.h"
#include "base/text.h"

namespace mc::auth {
namespace {
constexpr std::string_view kHubPrefix = "sha256=";
constexpr std::string_view kStandardSecret = "whsec_";
constexpr std::string_view kStandardVersion = "v1,";
constexpr int kBase64 = sodium_base64_VARIANT_ORIGINAL;

using Mac = std::array<unsigned char, crypto_auth_hmacsha256_BYTES>;

const unsigned char* in(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Mac hmac(std::string_view secret, std::string_view message) {
  Mac mac{};
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, in(secret), secret.size());
  crypto_auth_hmacsha256_update(&state, in(message), message.size());
  crypto_auth_hmacsha256_final(&state, mac.data());
  return mac;
}

std::string standard_key(std::string_view secret) {
  if (!secret.starts_with(kStandardSecret)) return std::string(secret);
  const std::string_view text = secret.substr(kStandardSecret.size());
  std::string key(text.size() + 1, '\0');
  std::size_t length = 0;
  const int read = sodium_base642bin(reinterpret_cast<unsigned char*>(key.data()), key.size(),
                                     text.data(), text.size(), nullptr, &length, nullptr, kBase64);
  if (read != 0) return std::string(secret);
  key.resize(length);
  return key;
}

std::string to_base64(const Mac& mac) {
  std::string out(sodium_base64_ENCODED_LEN(mac.size(), kBase64), '\0');
  sodium_bin2base64(out.data(), out.size(), mac.data(), mac.size(), kBase64);
  out.pop_back();
  return out;
}
}  // namespace

std::string hmac_sha256_hex(std::string_view secret, std::string_view message) {
  const Mac mac = hmac(secret, message);
  std::string out(mac.size() * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), mac.data(), mac.size());
  out.pop_back();
  return out;
}

bool verify_hub_signature(std::string_view secret, std::string_view body, std::string_view header) {
  if (secret.empty() || !header.starts_with(kHubPrefix)) return false;
  return same_text(to_lower(header.substr(kHubPrefix.size())), hmac_sha256_hex(secret, body));
}

bool verify_standard_webhook(std::string_view secret, std::string_view body,
                             const StandardHeaders& headers, Instant now) {
  std::int64_t seconds = 0;
  const std::string_view stamp = headers.timestamp;
  const auto read = std::from_chars(stamp.data(), stamp.data() + stamp.size(), seconds);
  if (secret.empty() || headers.id.empty() || read.ec != std::errc{} ||
      read.ptr != stamp.data() + stamp.size()) {
    return false;
  }
  constexpr std::int64_t kSecondsMax = 253'402'300'799;  // the end of year 9999
  if (seconds < 0 || seconds > kSecondsMax) return false;
  const Instant sent{seconds * 1000};
  if (sent > now + kWebhookWindow || sent < now - kWebhookWindow) return false;
  const std::string message =
      std::string(headers.id) + "." + std::string(stamp) + "." + std::string(body);
  const std::string wanted = to_base64(hmac(standard_key(secret), message));
  bool fits = false;
  for (const std::string& one : split(headers.signature, ' ')) {
    if (!one.starts_with(kStandardVersion)) continue;
    fits = same_text(std::string_view(one).substr(kStandardVersion.size()), wanted) || fits;
  }
  return fits;
}
}  // namespace mc::auth
