// Bearer tokens: 256 random bits under a prefix that scanners can find. Only hashes are stored.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace mc::auth {

inline constexpr std::string_view kTokenPrefix = "mst_";

// BLAKE2b-256 of the token's text. A token is random, so no salt and no slow hash is wanted.
struct TokenHash {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const TokenHash&) const = default;
};

// "mst_" and 43 characters of base64url. Never the same twice.
std::string mint_token();
// True for text of the form that mint_token gives; says nothing about whether it is known.
bool is_token(std::string_view text);
TokenHash hash_token(std::string_view token);
// 64 hex digits, and back; nullopt for anything else.
std::string to_text(const TokenHash& hash);
std::optional<TokenHash> parse_token_hash(std::string_view text);
// In constant time.
bool same(const TokenHash& a, const TokenHash& b);
bool same_text(std::string_view a, std::string_view b);

// RFC 4648 base64url without padding.
std::string to_base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);

}  // namespace mc::auth

template <>
struct std::hash<mc::auth::TokenHash> {
  // The hash is uniform already: any 8 bytes of it will do.
  std::size_t operator()(const mc::auth::TokenHash& hash) const noexcept {
    std::size_t out = 0;
    for (std::size_t i = 0; i < sizeof out; ++i) out = out << 8U | hash.bytes.at(i);
    return out;
  }
};
