// Small questions about text that every folder asks.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace mc {

// Offset of the first byte that is not valid UTF-8 (RFC 3629: no surrogates, no overlong forms).
std::optional<std::size_t> find_invalid_utf8(std::string_view text);
// `text` with every invalid byte replaced by U+FFFD.
std::string to_valid_utf8(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);
// All but RFC 3986's unreserved characters as %XX: for a part of a path or a value in a query.
std::string percent_encode(std::string_view text);
// The candidate nearest to `word` (optimal string alignment distance, at most a third of its
// length, at least 1), or nullopt: for "did you mean".
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);
// "1h30m", "500ms": units d h m s ms, each at most once, largest first. nullopt for anything else,
// and for more than 3650 days.
std::optional<Millis> parse_duration(std::string_view text);
// "1m 23s", "450 ms": for people.
std::string format_duration(Millis duration);
// "1h30m": reads back with parse_duration.
std::string to_duration_text(Millis duration);
// "10MiB", "512KiB", "1GiB", "100B" as bytes.
std::optional<std::int64_t> parse_size(std::string_view text);
// "1.5 MiB".
std::string format_size(std::int64_t bytes);
// [a-z0-9][a-z0-9._-]{0,62}: names of workflows, projects, workers.
bool is_name(std::string_view text);
// `**` any folders, `*` and `?` within one, `[abc]`; a leading "./" is dropped. Takes at most
// the product of both lengths. Requires nothing: a bad pattern just does not match.
bool glob_match(std::string_view pattern, std::string_view path);

}  // namespace mc
