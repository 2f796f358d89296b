#include "cli/paint.h"

namespace mc::cli {
namespace {

std::string_view sequence(Tone tone) {
  switch (tone) {
    case Tone::plain: return "";
    case Tone::good: return "\x1b[32m";
    case Tone::bad: return "\x1b[31m";
    case Tone::warning: return "\x1b[33m";
    case Tone::busy: return "\x1b[36m";
    case Tone::dim: return "\x1b[2m";
    case Tone::bold: return "\x1b[1m";
  }
  return "";
}

struct Look {
  std::string_view status;
  Tone tone;
  std::string_view sign;
};
constexpr Look kLooks[] = {
    {"succeeded", Tone::good, "✔"},     {"reused", Tone::good, "↺"},
    {"failed", Tone::bad, "✘"},         {"timed_out", Tone::bad, "✘"},
    {"denied", Tone::bad, "⊘"},         {"cancelled", Tone::warning, "⊘"},
    {"cancelling", Tone::warning, "⊘"}, {"running", Tone::busy, "●"},
    {"waiting", Tone::warning, "◔"},    {"retrying", Tone::warning, "↻"},
    {"ready", Tone::plain, "○"},        {"queued", Tone::plain, "○"},
    {"pending", Tone::dim, "·"},        {"skipped", Tone::dim, "–"},
};

const Look* look_of(std::string_view status) {
  for (const Look& look : kLooks)
    if (look.status == status) return &look;
  return nullptr;
}

bool starts_code_point(char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }

}  // namespace

std::string Paint::operator()(Tone tone, std::string_view text) const {
  if (!on || tone == Tone::plain || text.empty()) return std::string(text);
  return std::string(sequence(tone)).append(text).append("\x1b[0m");
}

Paint paint_for(const Io& io, bool no_color, bool to_terminal) {
  const bool wanted =
      !no_color && variable_or(io, "NO_COLOR", "").empty() && variable_or(io, "TERM", "") != "dumb";
  return Paint{.on = wanted && to_terminal};
}

Tone tone_of(std::string_view status) {
  const Look* look = look_of(status);
  return look == nullptr ? Tone::plain : look->tone;
}

std::string_view sign_of(std::string_view status) {
  const Look* look = look_of(status);
  return look == nullptr ? "?" : look->sign;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  bool in_sequence = false;
  for (const char c : text) {
    if (in_sequence) {
      in_sequence = c != 'm';
    } else if (c == '\x1b') {
      in_sequence = true;
    } else if (starts_code_point(c)) {
      ++width;
    }
  }
  return width;
}

std::string cut(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return "";
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!starts_code_point(text[i])) continue;
    if (seen == width - 1) return std::string(text.substr(0, i)) + "…";
    ++seen;
  }
  return std::string(text);
}

std::string pad(std::string text, std::size_t width) {
  const std::size_t have = display_width(text);
  if (have < width) text.append(width - have, ' ');
  return text;
}

std::string printable(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\t') {
      clean += ' ';
    } else if (byte >= 0x20 && byte != 0x7f) {
      clean += c;
    }
  }
  return clean;
}

}  // namespace mc::cli
