#include "auth/token.h"

#include <sodium.h>

#include <algorithm>

#include "base/check.h"

namespace mc::auth {
namespace {
constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kTokenText = 43;  // base64url of 32 bytes
constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
}  // namespace

std::string mint_token() {
  MC_CHECK(sodium_init() >= 0);
  std::string bytes(kTokenBytes, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  std::string token = std::string(kTokenPrefix) + to_base64url(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  return token;
}

bool is_token(std::string_view text) {
  if (!text.starts_with(kTokenPrefix)) return false;
  const std::string_view rest = text.substr(kTokenPrefix.size());
  return rest.size() == kTokenText && from_base64url(rest).has_value();
}

TokenHash hash_token(std::string_view token) {
  TokenHash hash;
  crypto_generichash(hash.bytes.data(), hash.bytes.size(), bytes_of(token), token.size(), nullptr,
                     0);
  return hash;
}

std::string to_text(const TokenHash& hash) {
  std::string out(hash.bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), hash.bytes.data(), hash.bytes.size());
  out.pop_back();
  return out;
}

std::optional<TokenHash> parse_token_hash(std::string_view text) {
  TokenHash hash;
  std::size_t length = 0;
  if (text.size() != hash.bytes.size() * 2) return std::nullopt;
  const int read = sodium_hex2bin(hash.bytes.data(), hash.bytes.size(), text.data(), text.size(),
                                  nullptr, &length, nullptr);
  if (read != 0 || length != hash.bytes.size()) return std::nullopt;
  return hash;
}

bool same(const TokenHash& a, const TokenHash& b) {
  return sodium_memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
}

bool same_text(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string to_base64url(std::string_view bytes) {
  std::string out(sodium_base64_ENCODED_LEN(bytes.size(), kVariant), '\0');
  sodium_bin2base64(out.data(), out.size(), bytes_of(bytes), bytes.size(), kVariant);
  out.pop_back();  // the NUL that libsodium writes
  return out;
}

std::optional<std::string> from_base64url(std::string_view text) {
  std::string out(text.size() + 1, '\0');
  std::size_t length = 0;
  const char* end = nullptr;
  const int read = sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(),
                                     text.data(), text.size(), nullptr, &length, &end, kVariant);
  if (read != 0 || end != text.data() + text.size()) return std::nullopt;
  out.resize(length);
  return out;
}
}  // namespace mc::auth
