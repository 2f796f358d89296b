#include "worker/mask.h"

#include <algorithm>

#include "base/text.h"

namespace mc::worker {
namespace {
constexpr std::string_view kStars = "***";
constexpr std::size_t kBlock = 4096;  // bytes given back at a time
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// How `value` looks in the base64 of a text that has it behind `before` other bytes (modulo
// three), without the characters that its neighbours have a part in.
std::string inside_base64(std::string_view value, std::size_t before) {
  constexpr std::size_t kSextet = 6;
  std::string out;
  for (std::size_t at = (before * 8 + kSextet - 1) / kSextet;
       at < (before + value.size()) * 8 / kSextet; ++at) {
    unsigned sextet = 0;
    for (std::size_t bit = at * kSextet; bit < (at + 1) * kSextet; ++bit) {
      const auto byte = static_cast<unsigned char>(value[bit / 8 - before]);
      sextet = sextet << 1 | ((byte >> (7 - bit % 8)) & 1U);
    }
    out += kBase64[sextet];
  }
  return out;
}
}  // namespace

bool SecretSet::add(std::string_view value) {
  bool all = add_one(value);
  if (value.find('\n') == std::string_view::npos) return all;
  for (std::string line : split(value, '\n')) {
    if (line.ends_with('\r')) line.pop_back();
    all &= add_one(line);
  }
  return all;
}

bool SecretSet::add_one(std::string_view value) {
  // A final newline is rarely part of what a program prints.
  while (value.ends_with('\n') || value.ends_with('\r')) value.remove_suffix(1);
  if (value.size() < kSecretBytesMin) return true;
  if (patterns_.size() >= kSecretsMax) return false;
  if (std::ranges::find(patterns_, value) == patterns_.end()) patterns_.emplace_back(value);
  add_encoded(value);
  return true;
}

// Programs show credentials encoded: in headers, in Kubernetes secrets.
void SecretSet::add_encoded(std::string_view value) {
  if (value.size() < kEncodedBytesMin) return;
  for (std::size_t before = 0; before < 3; ++before) {
    std::string text = inside_base64(value, before);
    for (int form = 0; form < 2; ++form) {
      // Encoded forms leave room for values.
      if (patterns_.size() < kSecretsMax / 2 &&
          std::ranges::find(patterns_, text) == patterns_.end())
        patterns_.push_back(text);
      std::ranges::replace(text, '+', '-');
      std::ranges::replace(text, '/', '_');
    }
  }
}

std::uint32_t SecretSet::child(std::uint32_t node, unsigned char byte) const {
  if (node == 0) return root_[byte];
  const auto& next = nodes_[node].next;
  const auto at =
      std::ranges::lower_bound(next, byte, {}, [](const auto& edge) { return edge.first; });
  return at != next.end() && at->first == byte ? at->second : 0;
}

std::uint32_t SecretSet::step(std::uint32_t node, unsigned char byte) const {
  for (;;) {
    const std::uint32_t to = child(node, byte);
    if (to != 0 || node == 0) return to;
    node = nodes_[node].fail;
  }
}

void SecretSet::build() {
  nodes_.assign(1, Node{});
  root_.fill(0);
  for (const std::string& pattern : patterns_) {
    std::uint32_t node = 0;
    for (const char c : pattern) {
      const auto byte = static_cast<unsigned char>(c);
      std::uint32_t to = child(node, byte);
      if (to == 0) {
        to = static_cast<std::uint32_t>(nodes_.size());
        nodes_.push_back({.depth = nodes_[node].depth + 1});
        if (node == 0) {
          root_[byte] = to;
        } else {
          auto& next = nodes_[node].next;
          next.insert(
              std::ranges::upper_bound(next, byte, {}, [](const auto& e) { return e.first; }),
              {byte, to});
        }
      }
      node = to;
    }
    nodes_[node].match = nodes_[node].depth;
  }
  // Breadth first: a node's fail link is shallower, so it is ready when needed.
  std::deque<std::uint32_t> queue;
  for (const std::uint32_t first : root_) {
    if (first != 0) queue.push_back(first);
  }
  while (!queue.empty()) {
    const std::uint32_t node = queue.front();
    queue.pop_front();
    for (const auto& [byte, to] : nodes_[node].next) {
      nodes_[to].fail = step(nodes_[node].fail, byte);
      if (nodes_[to].match == 0) nodes_[to].match = nodes_[nodes_[to].fail].match;
      queue.push_back(to);
    }
  }
}

std::string SecretSet::mask(std::string_view text) const {
  Masker masker;
  std::string out = masker.feed(text, *this);
  return out += masker.finish();
}

// Adds one byte to what is kept and marks the secret that it may complete.
void Masker::take(char c, const SecretSet& secrets) {
  kept_ += c;
  covered_.push_back(false);
  node_ = secrets.step(node_, static_cast<unsigned char>(c));
  const std::uint32_t match = secrets.nodes_[node_].match;
  if (match == 0) return;
  const std::size_t from = kept_.size() - std::min<std::size_t>(match, kept_.size());
  std::fill(covered_.begin() + static_cast<std::ptrdiff_t>(from), covered_.end(), true);
}

std::string Masker::feed(std::string_view bytes, const SecretSet& secrets) {
  if (secrets.empty()) return std::string(bytes);
  std::string out;
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (kept_.empty() && node_ == 0) {
      // Most bytes begin no secret: they pass in runs.
      std::size_t end = at;
      while (end < bytes.size() && secrets.root_[static_cast<unsigned char>(bytes[end])] == 0)
        ++end;
      if (end > at) {
        out.append(bytes, at, end - at);
        in_secret_ = false;
        at = end;
        continue;
      }
    }
    take(bytes[at++], secrets);
    // Bytes before the longest possible beginning of a secret are settled.
    const std::size_t open = secrets.nodes_[node_].depth;
    if (open == 0 || kept_.size() >= 2 * open + kBlock) emit(kept_.size() - open, out);
  }
  emit(kept_.size() - secrets.nodes_[node_].depth, out);
  return out;
}

void Masker::renew(const SecretSet& secrets) {
  const std::string kept = std::exchange(kept_, {});
  const std::vector<bool> covered = std::exchange(covered_, {});
  node_ = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    take(kept[i], secrets);
    if (covered[i]) covered_[i] = true;
  }
}

std::string Masker::finish() {
  std::string out;
  emit(kept_.size(), out);
  node_ = 0;
  in_secret_ = false;
  return out;
}

void Masker::emit(std::size_t count, std::string& out) {
  if (count == 0) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (!covered_[i]) {
      out += kept_[i];
    } else if (!in_secret_) {
      out += kStars;
    }
    in_secret_ = covered_[i];
  }
  kept_.erase(0, count);
  covered_.erase(covered_.begin(), covered_.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace mc::worker
