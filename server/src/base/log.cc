#include "base/log.h"

#include <fmt/format.h>

#include <unistd.h>

#include <array>
#include <atomic>

#include "base/json.h"
#include "base/text.h"

namespace mc {
namespace {
constexpr std::array<std::string_view, 5> kNames = {"trace", "debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 5> kColours = {"\x1b[2m", "\x1b[36m", "\x1b[32m", "\x1b[33m",
                                                      "\x1b[31m"};
constexpr std::string_view kPlain = "\x1b[0m";
constexpr std::size_t kTextMax = 4096;  // of one message or field: a line is for reading

struct Settings {
  std::atomic<LogLevel> least = LogLevel::info;
  std::atomic<LogForm> form = LogForm::automatic;
};
Settings& settings() {
  static Settings kept;
  return kept;
}

std::string shortened(std::string_view text) {
  std::string out = to_valid_utf8(text.substr(0, kTextMax));
  if (text.size() > kTextMax) out += "…";
  return out;
}

// Values that would not read as one word are shown as JSON.
std::string as_text(const Value& value) {
  if (!value.is_string()) return to_json(value);
  const std::string text = shortened(value.as_string());
  const bool word = !text.empty() && text.find_first_of(" \"=\\") == std::string::npos &&
                    text.find_first_of("\n\r\t\x1b") == std::string::npos;
  return word ? text : to_json(Value(text));
}

std::string_view paint(bool colour, std::string_view code) { return colour ? code : ""; }
}  // namespace

std::optional<LogLevel> log_level_from_name(std::string_view name) {
  const std::string lower = to_lower(name);
  if (lower == "warning") return LogLevel::warn;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames.at(i) == lower) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

std::string_view to_name(LogLevel level) { return kNames.at(static_cast<std::size_t>(level)); }

void set_log(LogLevel least, LogForm form) {
  settings().least = least;
  settings().form = form;
}

bool logs(LogLevel level) { return level >= settings().least.load(std::memory_order_relaxed); }

void log(LogLevel level, std::string_view message, LogFields fields) {
  if (!logs(level)) return;
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const LogForm form = settings().form;
  const bool text = form == LogForm::text || (form == LogForm::automatic && terminal);
  const Instant now = system_clock().now();
  const std::string line = text ? format_log_text(now, level, message, fields, terminal)
                                : format_log_json(now, level, message, fields);
  // There is nobody to tell when the log itself cannot be written.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::string format_log_json(Instant at, LogLevel level, std::string_view message,
                            LogFields fields) {
  JsonWriter out;
  out.open('{').field("time", at).field("level", to_name(level)).field("msg", shortened(message));
  for (const LogField& field : fields) {
    if (field.value.is_string()) {
      out.field(field.name, shortened(field.value.as_string()));
    } else {
      out.field(field.name, field.value);
    }
  }
  return out.close('}').take() + "\n";
}

std::string format_log_text(Instant at, LogLevel level, std::string_view message, LogFields fields,
                            bool colour) {
  constexpr std::size_t kClockAt = 11;  // behind "2026-11-23T"
  constexpr std::size_t kClockSize = 12;
  std::string safe = shortened(message);
  // A message may quote what users sent: it must not move the cursor.
  for (char& c : safe) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  std::string out = fmt::format("{}{}{} {}{:<5}{} {}", paint(colour, kColours[0]),
                                to_rfc3339(at).substr(kClockAt, kClockSize), paint(colour, kPlain),
                                paint(colour, kColours.at(static_cast<std::size_t>(level))),
                                to_name(level), paint(colour, kPlain), safe);
  for (const LogField& field : fields) {
    out += fmt::format(" {}{}={}{}", paint(colour, kColours[0]), field.name, paint(colour, kPlain),
                       as_text(field.value));
  }
  return out + "\n";
}
}  // namespace mc
