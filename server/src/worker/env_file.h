// The files through which a step hands values on: MAESTRO_OUTPUT and MAESTRO_ENV.
//   name=value
//   name<<DELIMITER
//   any number of lines
//   DELIMITER
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mc::worker {

inline constexpr std::size_t kOutputBytesMax = 64 << 10;  // one value
inline constexpr std::size_t kOutputsBytesMax = 1 << 20;  // a job's values together
inline constexpr std::size_t kEnvFileBytesMax = 4 << 20;  // the file itself

using EnvPairs = std::vector<std::pair<std::string, std::string>>;

// In the order of the file; a name may come more than once (the last one counts). `what` names
// the file in messages ("MAESTRO_OUTPUT"). Errors: invalid_field with the line (no `=`, bad name,
// no end of a block, a zero byte); limit_exceeded (says how much, and where more belongs).
Result<EnvPairs> parse_env_file(std::string_view text, std::string_view what);

// Names of variables and outputs: a letter or `_`, then letters, digits, `_`, `-`, `.`; 256 at
// most.
bool is_env_name(std::string_view name);

}  // namespace mc::worker
