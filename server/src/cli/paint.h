// Colour and the signs of statuses. Plain text when `on` is false.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/io.h"

namespace mc::cli {

enum class Tone : std::uint8_t { plain, good, bad, warning, busy, dim, bold };

struct Paint {
  bool on = false;
  std::string operator()(Tone tone, std::string_view text) const;
};

// Colours on a terminal, unless --no-color, NO_COLOR (not empty) or TERM=dumb says otherwise.
Paint paint_for(const Io& io, bool no_color, bool to_terminal);

// The tone and the one-character sign of a run's, job's or step's status name.
Tone tone_of(std::string_view status);
std::string_view sign_of(std::string_view status);

// Of a job that failed and may: `continue_on_error`.
inline constexpr std::string_view kToleratedSign = "!";

// Columns that `text` takes on a terminal: code points, colour sequences not counted.
std::size_t display_width(std::string_view text);
// At most `width` columns, the last an ellipsis when something was cut. Requires: text without
// colour.
std::string cut(std::string_view text, std::size_t width);
std::string pad(std::string text, std::size_t width);
// `text` without control characters (other than tab as a space): names come from definitions.
std::string printable(std::string_view text);

}  // namespace mc::cli
