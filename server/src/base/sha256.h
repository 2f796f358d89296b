// SHA-256 (FIPS 180-4), by libsodium: digests of definitions, artifacts and cache keys.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace mc {

class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  // 64 lower-case hex digits. Requires: called once.
  std::string hex();

 private:
  alignas(8) std::array<unsigned char, 128> state_{};  // crypto_hash_sha256_state
};

std::string sha256_hex(std::string_view bytes);

}  // namespace mc
