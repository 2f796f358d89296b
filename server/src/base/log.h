// Structured log lines on standard error: text with colours on a terminal, JSON elsewhere. One
// write a line, so that lines of several threads and processes do not mix. Any thread.
//   log_info("run started", {{"run", id}, {"jobs", 12}});
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "base/value.h"

namespace mc {

enum class LogLevel : std::uint8_t { trace, debug, info, warn, error };
std::optional<LogLevel> log_level_from_name(std::string_view name);  // also "warning"
std::string_view to_name(LogLevel level);

enum class LogForm : std::uint8_t { automatic, text, json };

struct LogField {
  std::string_view name;
  Value value;
};
using LogFields = std::initializer_list<LogField>;

// Until this is called: info, automatic. May be called again; takes effect at once.
void set_log(LogLevel least, LogForm form);
// Whether a line of this level would be written: for fields that cost something to make.
bool logs(LogLevel level);
void log(LogLevel level, std::string_view message, LogFields fields = {});

inline void log_debug(std::string_view message, LogFields fields = {}) {
  log(LogLevel::debug, message, fields);
}
inline void log_info(std::string_view message, LogFields fields = {}) {
  log(LogLevel::info, message, fields);
}
inline void log_warn(std::string_view message, LogFields fields = {}) {
  log(LogLevel::warn, message, fields);
}
inline void log_error(std::string_view message, LogFields fields = {}) {
  log(LogLevel::error, message, fields);
}

// The line, with its newline, as `log` writes it. Pure.
std::string format_log_json(Instant at, LogLevel level, std::string_view message, LogFields fields);
std::string format_log_text(Instant at, LogLevel level, std::string_view message, LogFields fields,
                            bool colour);

}  // namespace mc
