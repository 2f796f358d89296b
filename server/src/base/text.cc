#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cctype>
#include <cstdint>
#include <cstring>

namespace mc {
namespace {
// Length of the valid sequence at `at`, or 0.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  }
  const unsigned char second = byte(at + 1);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool surrogate = lead == 0xed && second >= 0xa0;
  const bool beyond = lead == 0xf4 && second >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array kUnits = {Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000},
                               Unit{"s", 1000}, Unit{"ms", 1}};
constexpr std::int64_t kDurationMaxMs = 3650LL * 86'400'000;

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t swap = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + swap});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

// One part of a glob.
struct GlobPart {
  enum class Kind : std::uint8_t { one_of, star, deep, folders } kind = Kind::one_of;
  std::bitset<256> bytes;  // one_of: those that fit
};

std::size_t byte_of(char c) { return static_cast<unsigned char>(c); }

// The class that opens at pattern[at] == '['; moves `at` behind it.
GlobPart read_class(std::string_view pattern, std::size_t& at) {
  GlobPart part;
  std::size_t i = at + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false) {
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      for (std::size_t byte = byte_of(pattern[i]); byte <= byte_of(pattern[i + 2]); ++byte)
        part.bytes.set(byte);
      i += 3;
    } else {
      part.bytes.set(byte_of(pattern[i++]));
    }
  }
  at = i + 1;
  if (negated) part.bytes.flip();
  if (i >= pattern.size()) part.bytes.reset();  // it has no end
  part.bytes.reset(byte_of('/'));
  return part;
}

std::vector<GlobPart> read_glob(std::string_view pattern) {
  using Kind = GlobPart::Kind;
  std::vector<GlobPart> parts;
  for (std::size_t at = 0; at < pattern.size();) {
    if (pattern.substr(at, 3) == "**/") {
      parts.push_back({Kind::folders, {}});
      at += 3;
    } else if (pattern.substr(at, 2) == "**") {
      parts.push_back({Kind::deep, {}});
      at += 2;
    } else if (pattern[at] == '*') {
      parts.push_back({Kind::star, {}});
      ++at;
    } else if (pattern[at] == '[') {
      parts.push_back(read_class(pattern, at));
    } else {
      GlobPart part;
      if (pattern[at] == '?') part.bytes.set().reset(byte_of('/'));
      if (pattern[at] != '?') part.bytes.set(byte_of(pattern[at]));
      parts.push_back(part);
      ++at;
    }
  }
  return parts;
}
}  // namespace

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    // Most text is ASCII: eight bytes at a look.
    std::uint64_t word = 0;
    if (at + sizeof word <= text.size()) {
      std::memcpy(&word, text.data() + at, sizeof word);
      if ((word & 0x8080808080808080U) == 0) {
        at += sizeof word;
        continue;
      }
    }
    const std::size_t length = utf8_length(text, at);
    if (length == 0) return at;
    at += length;
  }
  return std::nullopt;
}

std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    out += length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(at, length);
    at += std::max<std::size_t>(length, 1);
  }
  return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != separator) continue;
    parts.emplace_back(text.substr(from, i - from));
    from = i + 1;
  }
  return parts;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
  constexpr std::size_t kWordMax = 64;
  if (word.empty() || word.size() > kWordMax) return std::nullopt;
  std::size_t best = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::optional<std::string> found;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kWordMax) continue;
    const std::size_t cost = distance(to_lower(word), to_lower(candidate));
    // A word of which nothing is left is no misspelling.
    if (cost >= best || cost >= word.size()) continue;
    best = cost;
    found = candidate;
  }
  return found;
}

std::optional<Millis> parse_duration(std::string_view text) {
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    std::int64_t number = 0;
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
      number = number * 10 + (text[digits++] - '0');
      if (number > kDurationMaxMs) return std::nullopt;
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    std::size_t letters = 0;
    while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
    const std::string_view name = text.substr(0, letters);
    while (next_unit < kUnits.size() && kUnits.at(next_unit).name != name) ++next_unit;
    if (next_unit == kUnits.size()) return std::nullopt;
    total += number * kUnits.at(next_unit).ms;
    if (total > kDurationMaxMs) return std::nullopt;
    ++next_unit;
    text.remove_prefix(letters);
  }
  return Millis(total);
}

std::string format_duration(Millis duration) {
  const std::int64_t ms = duration.count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  const std::int64_t s = ms / 1000;
  if (s < 10) return fmt::format("{}.{} s", s, ms % 1000 / 100);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}m {:02}s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{}h {:02}m", s / 3600, s % 3600 / 60);
  return fmt::format("{}d {:02}h", s / 86'400, s % 86'400 / 3600);
}

std::string to_duration_text(Millis duration) {
  std::string out;
  std::int64_t rest = duration.count();
  for (const Unit& unit : kUnits) {
    if (rest >= unit.ms) out += fmt::format("{}{}", rest / unit.ms, unit.name);
    rest %= unit.ms;
  }
  return out.empty() ? "0s" : out;
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  constexpr std::array kSizes = {std::pair{"KiB", 10}, std::pair{"MiB", 20}, std::pair{"GiB", 30},
                                 std::pair{"TiB", 40}, std::pair{"B", 0}};
  for (const auto& [suffix, shift] : kSizes) {
    if (!text.ends_with(suffix)) continue;
    const std::string_view digits = text.substr(0, text.size() - std::string_view(suffix).size());
    std::int64_t number = 0;
    if (digits.empty() || digits.size() > 7) return std::nullopt;
    for (const char c : digits) {
      if (c < '0' || c > '9') return std::nullopt;
      number = number * 10 + (c - '0');
    }
    return number << shift;
  }
  return std::nullopt;
}

std::string format_size(std::int64_t bytes) {
  constexpr std::array kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  double size = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < kNames.size()) {
    size /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", size, kNames.at(unit));
}

bool is_name(std::string_view text) {
  const auto inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !text.empty() && text.size() <= 63 && std::isalnum(static_cast<unsigned char>(text[0])) &&
         std::all_of(text.begin(), text.end(), inner);
}

bool glob_match(std::string_view pattern, std::string_view path) {
  using Kind = GlobPart::Kind;
  if (pattern.starts_with("./")) pattern.remove_prefix(2);
  const std::vector<GlobPart> parts = read_glob(pattern);
  // Which parts may be the next to match, after each byte of the path: a walk through all ways at
  // once (Thompson, 1968), so that no pattern takes longer than parts x path.
  std::vector<char> here(parts.size() + 1, 0), next(parts.size() + 1, 0);
  const auto enter = [&parts](std::vector<char>& set, std::size_t part) {
    // What may match nothing lets the next one begin, too.
    for (;; ++part) {
      set[part] = 1;
      if (part == parts.size() || parts[part].kind == Kind::one_of) return;
    }
  };
  enter(here, 0);
  for (const char c : path) {
    std::ranges::fill(next, 0);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (here[i] == 0) continue;
      switch (parts[i].kind) {
        case Kind::one_of:
          if (parts[i].bytes.test(byte_of(c))) enter(next, i + 1);
          break;
        case Kind::star:
          if (c != '/') enter(next, i);
          break;
        case Kind::deep: enter(next, i); break;
        case Kind::folders:  // what follows begins at the start of a folder
          next[i] = 1;
          if (c == '/') enter(next, i + 1);
          break;
      }
    }
    std::swap(here, next);
  }
  // Folders may also be all that is left.
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (here[i] != 0 && parts[i].kind == Kind::folders) enter(here, i + 1);
  }
  return here[parts.size()] != 0;
}
}  // namespace mc
