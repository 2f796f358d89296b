// A Value as YAML (block style, core schema): for `-o yaml` and for contexts.yaml.
#pragma once

#include <string>

#include "base/error.h"
#include "base/value.h"

namespace mc::cli {

// Ends in a newline. What it writes reads back as the same value in any YAML 1.2 reader.
std::string to_yaml(const Value& value);

// Reads the small part of YAML that contexts.yaml needs: maps of maps of plain or double-quoted
// scalars (all become strings), and comments. Errors: usage, naming the line.
Result<Value> read_plain_yaml(std::string_view text, const std::string& name);

}  // namespace mc::cli
