// Replaces secrets in a stream of bytes by "***", also when a secret comes in pieces.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mc::worker {

inline constexpr std::size_t kSecretBytesMin = 3;   // shorter values would mask every second word
inline constexpr std::size_t kSecretsMax = 4096;    // values, their lines and encoded forms
inline constexpr std::size_t kEncodedBytesMin = 6;  // shorter values are not looked for in base64

// The set of what to hide (Aho-Corasick). Immutable while maskers use it.
class SecretSet {
 public:
  // Takes the value and, when it has several, each of its lines, and what these are in base64
  // (both alphabets, also in the middle of other text). Parts below kSecretBytesMin are left out,
  // as is everything beyond kSecretsMax (false then).
  bool add(std::string_view value);
  // Requires before use: called after the last add.
  void build();
  bool empty() const { return patterns_.empty(); }
  // `text` with every secret replaced.
  std::string mask(std::string_view text) const;

 private:
  friend class Masker;
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> next;  // sorted by byte
    std::uint32_t fail = 0;
    std::uint32_t depth = 0;
    std::uint32_t match = 0;  // length of the longest secret that ends here; 0: none
  };
  bool add_one(std::string_view value);
  void add_encoded(std::string_view value);
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;  // 0: none
  std::uint32_t step(std::uint32_t node, unsigned char byte) const;

  std::vector<std::string> patterns_;
  std::vector<Node> nodes_{1};
  std::array<std::uint32_t, 256> root_{};
};

// One stream. Gives back what can no longer be part of a secret, and keeps the rest: at most the
// longest secret's length less one. Not for more than one thread.
class Masker {
 public:
  std::string feed(std::string_view bytes, const SecretSet& secrets);
  // Call after `secrets` has grown: what is kept is looked at again.
  void renew(const SecretSet& secrets);
  // What was kept: the stream is over.
  std::string finish();

 private:
  void take(char c, const SecretSet& secrets);
  void emit(std::size_t count, std::string& out);
  std::string kept_;           // bytes not given back yet
  std::vector<bool> covered_;  // for each kept byte: part of a secret
  std::uint32_t node_ = 0;
  bool in_secret_ = false;  // the last byte given back was part of one: its stars are out
};

}  // namespace mc::worker
