// The command line to a verb and its arguments.
#pragma once

#include <span>
#include <string>

#include "base/error.h"
#include "cli/verb.h"

namespace mc::cli {

struct CommandLine {
  const Verb* verb = nullptr;  // null: print `text` and exit 0
  Args args;
  std::string text;
};

// `words` without the program's name. Errors: usage, with "did you mean".
Result<CommandLine> parse_command_line(std::span<const std::string> words);

}  // namespace mc::cli
