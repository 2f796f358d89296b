// Bounds what a message repeats of a text that somebody else wrote.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mc {

// The characters of `text` that fit into `bytes_max`, whole; valid UTF-8 stays so.
std::string_view head_of(std::string_view text, std::size_t bytes_max);
// `text` itself, or as much of it as fits into `bytes_max` with an ellipsis behind it.
// Requires: bytes_max >= 3, the size of the ellipsis.
std::string clip(std::string_view text, std::size_t bytes_max);

}  // namespace mc
