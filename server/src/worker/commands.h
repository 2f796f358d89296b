// Lines of a log that speak to Maestro: `::error file=a.cc,line=3::message`, `::add-mask::VALUE`.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/value.h"

namespace mc::worker {

inline constexpr std::size_t kCommandBytesMax = 64 << 10;  // longer lines are plain text
inline constexpr std::size_t kAnnotationsMax = 100;        // a job attempt
inline constexpr std::size_t kAnnotationTextMax = 4096;

struct LineCommand {
  std::string name;  // error, warning, notice, add-mask, …
  std::vector<std::pair<std::string, std::string>> properties;
  std::string text;
};

// `line` without its newline. nullopt: an ordinary line.
std::optional<LineCommand> parse_command(std::string_view line);
// {level, message, file?, line?, title?} for error, warning and notice.
std::optional<Value> annotation_of(const LineCommand& command);
// The MAESTRO_ANNOTATIONS file: a line is a JSON object with the fields above, `level=message`, or
// a block `level<<END`, lines, `END`. Lines that are neither are left out.
List parse_annotations(std::string_view text);

// Cuts a stream into text that passes at once and lines that begin with "::", which wait for
// their end.
class LineScanner {
 public:
  // Calls `command` for each such line (without newline) before its text is given to `text`.
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& text,
            const std::function<void(std::string_view)>& command);
  void finish(const std::function<void(std::string_view)>& text,
              const std::function<void(std::string_view)>& command);

 private:
  std::string held_;  // the beginning of a line that may be a command
  bool at_start_ = true;
};

}  // namespace mc::worker
