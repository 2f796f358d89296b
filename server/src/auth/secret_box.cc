#include "auth/secret_box.h"

#include <sodium.h>

#include <algorithm>

#include "auth/token.h"

namespace mc::auth {
namespace {
constexpr std::size_t kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTag = crypto_aead_xchacha20poly1305_ietf_ABYTES;

const unsigned char* in(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* out(std::string& text, std::size_t at) {
  return reinterpret_cast<unsigned char*>(text.data() + at);
}
}  // namespace

std::string SecretBox::make_key() {
  MC_CHECK(sodium_init() >= 0);
  std::string bytes(crypto_aead_xchacha20poly1305_ietf_KEYBYTES, '\0');
  randombytes_buf(bytes.data(), bytes.size());
  return to_base64url(bytes);
}

SecretBox SecretBox::derive(std::string_view secret, std::string_view purpose) {
  MC_CHECK(sodium_init() >= 0);
  SecretBox box;
  // A key of BLAKE2b has at most 64 bytes: a longer secret is hashed first.
  std::array<unsigned char, crypto_generichash_BYTES> digest{};
  crypto_generichash(digest.data(), digest.size(), in(secret), secret.size(), nullptr, 0);
  crypto_generichash(box.key_.data(), box.key_.size(), in(purpose), purpose.size(), digest.data(),
                     digest.size());
  sodium_memzero(digest.data(), digest.size());
  return box;
}

Result<SecretBox> SecretBox::open(std::string_view key_text) {
  MC_CHECK(sodium_init() >= 0);
  const auto bytes = from_base64url(key_text);
  SecretBox box;
  if (!bytes || bytes->size() != box.key_.size()) {
    return Error{Code::invalid_setting,
                 "the secret key is not 32 bytes of base64url: was the file changed?",
                 {}};
  }
  std::copy(bytes->begin(), bytes->end(), box.key_.begin());
  return box;
}

SecretBox::~SecretBox() { sodium_memzero(key_.data(), key_.size()); }

std::string SecretBox::seal(std::string_view name, std::string_view value) const {
  std::string bytes(kNonce + value.size() + kTag, '\0');
  randombytes_buf(bytes.data(), kNonce);
  crypto_aead_xchacha20poly1305_ietf_encrypt(out(bytes, kNonce), nullptr, in(value), value.size(),
                                             in(name), name.size(), nullptr, in(bytes),
                                             key_.data());
  return to_base64url(bytes);
}

Result<std::string> SecretBox::unseal(std::string_view name, std::string_view sealed) const {
  const Error broken{
      Code::store_failed,
      "a stored secret does not open: it was sealed with another key, or changed since",
      {}};
  const auto bytes = from_base64url(sealed);
  if (!bytes || bytes->size() < kNonce + kTag) return broken;
  std::string value(bytes->size() - kNonce - kTag, '\0');
  const int read = crypto_aead_xchacha20poly1305_ietf_decrypt(
      out(value, 0), nullptr, nullptr, in(*bytes) + kNonce, bytes->size() - kNonce, in(name),
      name.size(), in(*bytes), key_.data());
  if (read != 0) return broken;
  return value;
}
}  // namespace mc::auth
