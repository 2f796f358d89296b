// Seals secrets for storage: XChaCha20-Poly1305 with a random nonce, the secret's name as
// associated data. Whoever has the store but not the key learns lengths only. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mc::auth {

class SecretBox {
 public:
  // A fresh key as text (base64url, one line): what the key file holds.
  static std::string make_key();
  // The key that follows from a secret of 32 bytes or more, for one purpose (BLAKE2b, keyed).
  static SecretBox derive(std::string_view secret, std::string_view purpose);
  // Errors: invalid_setting when `key_text` is no key; the message does not show it.
  static Result<SecretBox> open(std::string_view key_text);

  SecretBox(const SecretBox&) = default;
  SecretBox& operator=(const SecretBox&) = default;
  ~SecretBox();  // wipes the key

  // Text that can be stored: base64url of nonce and ciphertext.
  std::string seal(std::string_view name, std::string_view value) const;
  // Errors: store_failed when it was sealed under another key or name, or was changed since.
  Result<std::string> unseal(std::string_view name, std::string_view sealed) const;

 private:
  SecretBox() = default;
  std::array<std::uint8_t, 32> key_{};
};

}  // namespace mc::auth
